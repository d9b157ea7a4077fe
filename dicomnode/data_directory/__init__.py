"""What lies in a node's data directory: whose it is, what has to go, and its back-ups.

backup    Backs a node up while it works, and puts it back
cleaner   Removes what is finished after its time, and what dead writers left
holding   Holding a data directory: one node at a time, its own id, and the settings it runs with
own_data  Whether the database tells the history of what lies in the data directory
"""
