"""The first step of a series: C-STORE requests become durable files and rows of the index.

access          The door: judges each association request of pynetdicom before anything else is
adoption        Takes what lies in the data directory into a database that does not know it
arrivals        Brings what the receiver stored into the index, in order, many at a time
events          What happens at the receiver that the index has to know, and how it is written there
going_back      Sees that the database has gone back in time: what is here is told it again
receiver        The receiver: C-ECHO and Storage SCP (PS3.4 annex B, PS3.7 sections 9.1.1 and 9.1.5)
reconciliation  Brings the index up to date with the instance files that no row knows
refusals        The trace of what a receiver refuses, written by a thread of its own
renewal         What of a receiver follows the configuration while it runs
serving         How a receiver serves, as it is configured: its AE, its limits, its sockets
store_request   A C-STORE request beside its data set: who sent it, and how it is answered
storing         What is done with an instance, whoever brings it: file, then index
visits          What each association brought: told when it ends, and recorded by study
waiting_room    Limits how many associations are served at once; a peer beyond that waits
"""
