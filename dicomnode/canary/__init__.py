"""The canary: a synthetic patient on the whole way of a series, from C-STORE to its destination.

Its calling AE title is reserved: receivers take from it only the studies that a run has registered
(`storage.canary_runs`), and `deliver.routing` sends what comes of them to the destinations that
`[canary]` names, and nowhere else.

own_port  This node as a peer of its own, through TLS where that is all it serves
run       One run, stage by stage
schedule  The loop of the monitor that starts a run when one is due
setting   What a run was made with
"""
