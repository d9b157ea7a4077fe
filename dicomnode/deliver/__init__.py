"""The last step of a series: result objects become files, rows and requests to PACSs.

deliverer        The deliverer: sends what lies in the outbox until it has arrived
dicom_sender     Sends result objects over one association, C-STORE SCU (PS3.4 annex B)
equipment        What a series is analysed with, as far as all who share its work must have it
no_destination   What waits for a destination that is configured no more is given up
reach            Whether a destination can be reached, and how much it may be sent
resend           Sending a set of results again, by the routes of today
reinstate        Undoing a withdrawal: the same results as a new set, under new UIDs
result_bundles   Results in the object store before rows speak of them
result_settings  The part of the configuration that shows in results
result_store     Result objects as durable files, each with the row that tells of it
retract          Withdrawing a set of results: what was sent is rejected where it lies
routing          Where the results of a series go, and in which variants they are made
sender           What the deliverer asks of a way to a destination, and what a peer's faults mean
tally            What came of sending the objects of a study: told in one line, and recorded
withdrawn        Nothing that was withdrawn is sent, whatever the database says of it
web_sender       Sends result objects to a DICOMweb server, STOW-RS (PS3.18 section 10.5)
"""
