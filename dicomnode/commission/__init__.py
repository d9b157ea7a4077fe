"""`dicomnode commission`: a go-live test for each destination, and the sheet to be signed.

bench        What a test works with: objects of no patient, a database, an ear on our own port
checks       What was looked at, and whether it is as it must be
commitment   Whether a destination promises to keep what it stored
dicom_peer   The checks of a DICOM destination, from the connection to the withdrawal
machine      The checks of this machine: disk, database, models, clock, certificate, the query
object_store  The checks of the object store: what the node asks of it, each tried once
run          All checks, one after the other
sheet        The acceptance sheet, as a document and as JSON
tls_peer     The checks of TLS: who answers, and until when each certificate is valid
web_peer     The checks of a DICOMweb destination
"""
