"""A Storage SCP at the speed of the wire, tied to pynetdicom 3.0.4; it knows no node.

association      An acceptor's association that takes C-STORE requests at the speed of the wire
command_set      C-STORE and C-ECHO command sets (PS3.7 sections 6.3, 9.3.1 and 9.3.5). No I/O
data_set_buffer  Puts a received data set together; a big one grows in a file instead of in memory
negotiation      How an acceptor of pynetdicom negotiates here: storage classes alone
pdu              P-DATA-TF PDUs taken apart and made (PS3.8 sections 9.3.1 and 9.3.5, annex E)
pdu_reader       Whole P-DATA-TF PDUs from a connection, by way of one buffer (PS3.8 section 9.3.5)
storage_classes  Which SOP classes are storage classes of patients' instances
upper_layer      pynetdicom's Upper Layer provider without polling and without endless waits
"""
