"""What lies in a node's data directory: whose it is, what has to go, and its back-ups.

backlog   What a node has not sealed yet, in a file that any process can read
backup    Backs a node up while it works, and puts it back
cleaner   Removes what is finished after its time, and what dead writers left
files     The files of a node: on its own disk, or copies of what the object store has
holding   Holding a data directory: one node at a time, its own id, and the settings it runs with
incarnations  Each time that it is held is a start of its own: a restart is told from a copy
mender    Puts into the object store again what of it cannot be read
own_data  Whether the database tells the history of what lies in the data directory
sealer    Puts what lies on this disk alone into the object store, and clears copies
told_file  A file by which one process tells all others how something stands
worker_host  The data directory of `dicomnode worker`: an identity and a cache
"""
