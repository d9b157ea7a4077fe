"""Builds result data sets from findings; no files, no network, no database."""
