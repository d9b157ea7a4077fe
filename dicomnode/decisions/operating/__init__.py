"""What an administrator must know of a node that runs: from facts to troubles with a remedy.

facts      What was looked at: plain values of processes, database, file system, configuration
processes  The processes of a node, as the supervisor writes down how they fare
troubles   What troubles the node: one sentence with figures, and the one step that mends it
"""
