"""Looks at a node, from any process: reads what `decisions.operating` judges.

collector  Reads the facts; a source that fails is told in them, and ends nothing
lock       Whether a node runs on a data directory
"""
