"""The Structured Report (TID 1500).

groups    The measurement groups: one for the answer of each method, one for each infection
library   The image library of the report (TID 1600): the key slices and where they lie
report    The Structured Report: TID 1500, the answer first
"""
