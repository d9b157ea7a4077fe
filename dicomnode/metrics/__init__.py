"""What the processes of a node count, and how it is told to Prometheus; no identity of a patient.

counters    What is counted where it happens: in receivers, assessor, workers and deliverer
exposition  All of it in the text format that Prometheus reads
files       The files in which the processes count, each in its own, so that one can tell of all
looked_at   What was seen of the node at the last look at it, as metrics
read_back   What the processes have counted, for a page that shows some of it
stages      How long a series takes from its last slice to its results, stage by stage
"""
