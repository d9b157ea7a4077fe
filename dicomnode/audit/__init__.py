"""The audit trail: who connected, sent, received, was refused or changed something (PS3.15 A.5).

events      What is recorded
messages    DICOM audit messages of events, in XML (PS3.15 A.5)
reading     What the trail holds, for whoever asks
syslog      Sends the trail to a syslog server: UDP, TCP or TLS (RFC 5424, 5425, 5426, 6587)
trail       The trail of this process: a file that all processes of a node write
"""
