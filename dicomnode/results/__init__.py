"""Builds result data sets from findings; no files, no network, no database.

common/        What all result objects share: context, patient, codes, UIDs, words
documents/     Documents of text alone: notes, withdrawals, pages, a report as text
pictures/      Secondary Captures: key slices, montage, every slice with its heat
report/        The Structured Report (TID 1500)
segmentation/  Segmentation objects: lungs and infections as masks
build          All result objects of one analysis, and their bytes
"""
