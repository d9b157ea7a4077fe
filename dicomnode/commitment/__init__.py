"""Storage commitment (PS3.4 annex J): asking for a promise to keep objects, and giving it.

answering  A peer asks whether we hold what it sent (N-ACTION SCP)
asking     Asks a destination for its promise to keep what it stored (N-ACTION SCU)
data_sets  The data sets of storage commitment, built and read
holdings   Whether we hold what a peer asks us to commit to: in the index and on the disk
reporting  Reports to peers that asked for our commitment, over associations of our own
reports    A peer reports on a storage commitment that we asked for (N-EVENT-REPORT)
work       What of storage commitment goes on beside the deliveries, each in a thread
"""
