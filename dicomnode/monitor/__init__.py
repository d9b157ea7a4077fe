"""The monitor, a process of the node: sees how it fares, and tells whoever must know.

alive    The loop that tells the nodes of one database that this one lives, and sees which do not
canary   The loop that runs the canary
http     The loop that serves health, metrics and the status page
loops    What the loops of the monitor share, and what one is
monitor  The role: its loops, each in a thread of its own
ready    The loop that looks whether the node is ready, as a balancer goes by it
records  The loops that send the audit trail on, and tell the end of the flight records
telling  The loop that tells troubles: once when they begin, once when they are over
watch    The loop that looks at the node
ways     The ways by which troubles are told: the log, a webhook, e-mail
workers  Beside the workers of a host that has nothing else: it lives, clears, ends when all is done
"""
