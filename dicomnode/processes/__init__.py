"""The processes of one node: who starts them, and what each of them does.

child         One process of a node, through its deaths and restarts
introduction  The first lines of the log: what starts, and with whom it will speak
ports         The listening sockets of a node
roles         The roles that the processes of a node play, by name
states        Which processes of a node run, in a file that any other process can read
supervisor    The supervisor: starts the processes of one node, restarts what dies
"""
