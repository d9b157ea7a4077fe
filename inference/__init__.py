"""Computes: arrays with their geometry in, findings out. No DICOM tags, database or network."""
