"""What lies in a node's data directory: whose it is, and what has to go.

cleaner   Removes what is finished after its time, and what dead writers left
holding   Holding a data directory: one node at a time, its own id, and the settings it runs with
own_data  Whether the database tells the history of what lies in the data directory
"""
