"""The processes of one node: who starts them, and what each of them does.

checks        What of the configuration cannot work on this machine as it is now
child         One process of a node, through its deaths and restarts
introduction  The first lines of the log: what starts, and with whom it will speak
nursery       A process that has imported what the others share, and of which they are forked
ports         The listening sockets of a node
reload           Taking over a changed configuration while the node runs
reload_request   Asking the node that runs on a data directory, from another process, to reload
roles         The roles that the processes of a node play, by name
service_manager  What systemd is told of the node, by sd_notify(3)
states        Which processes of a node run, in a file that any other process can read
supervisor    The supervisor: starts the processes of one node, restarts what dies
"""
