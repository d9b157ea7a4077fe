"""The processes of one node: who starts them, and what each of them does.

roles       The roles that the processes of a node play, by name
supervisor  The supervisor: starts the processes of one node, restarts what dies
"""
