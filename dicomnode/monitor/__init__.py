"""The monitor, a process of the node: sees how it fares, and tells whoever must know.

loops    What the loops of the monitor share, and what one is
http     The loop that serves health, metrics and the status page
monitor  The role: its loops, each in a thread of its own
watch    The loop that looks at the node
"""
