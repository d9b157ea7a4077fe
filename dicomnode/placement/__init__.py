"""Workers placed on a Ray cluster: started there, started again, and more where much waits.

Ray keeps nothing of ours: what is to be done, and by whom, stands in the database.

authentication  Whether a Ray cluster lets anybody in, and refusing one that does
host            What runs on a host of the cluster: it starts one worker, and ends with it
placer          Looks again and again how many workers there are to be, and places them
ray_cluster     A Ray cluster as the placer sees it: an actor for each worker
session         One connection with the cluster, a process of its own; it ends when that is gone
sessions        One connection after the other, as long as workers are wanted
"""
