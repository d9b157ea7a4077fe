"""What may come in, what has come, and what to do with what comes again.

admission         Who may open an association: by calling AE title with address
arrival_evidence  What the PACS, the slices and the headers say about whether a series is all here
completeness      Is the whole series here? DICOM does not say, so we weigh the evidence
disk              Is there room for another instance? Refused before the disk is full
negotiation       Which of the presentation contexts that a peer proposes are accepted
resend            Instances that came again under their UIDs with other content: which copy stands?
store_answer      What a C-STORE request is answered, and when
"""
