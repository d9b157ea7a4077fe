"""Associations, TLS and HTTP, as acceptor and as requestor.

associations        The parts of pynetdicom that acceptors and requestors share: AEs, contexts
count_query         C-FIND SCU: which instances of a series a PACS holds, how many (PS3.4 C)
find                C-FIND SCU: the matches of a key, at whichever level
listeners           Listening TCP sockets; without pynetdicom, for who only holds them
peer_connection     A connection that we open to a peer
proxy_protocol      Who speaks through a proxy: PROXY protocol, version 2
pynetdicom_version  The pynetdicom that the node is written for
retrieve            C-MOVE and C-GET SCU: one request, to its end
send                Sends the DICOM files of a folder to a peer, as they are encoded (C-STORE SCU)
tls_acceptor        Accepting associations on TLS, whose contexts `dicomnode/tls.py` makes
web_connection      Requests to an HTTP server, and why one was not answered
"""
