"""The Structured Report (TID 1500).

library        The image library of the report (TID 1600): the key slices and where they lie
region_groups  The second method in the report: a measurement group for the case
report         The Structured Report: TID 1500, the answer first
sr_items       Content items that the measurement groups of both methods are made of
"""
