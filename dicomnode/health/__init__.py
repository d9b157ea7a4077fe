"""Looks at a node, from any process: reads what `decisions.operating` judges.

certificates  The certificates that the configuration names, and when they end
collector     Reads the facts; a source that fails is told in them, and ends nothing
looks         One thing after the other: what cannot be looked at is named, and ends nothing
patience      Waiting for an answer no longer than is useful
work          What the database tells of a node; each question by itself
"""
