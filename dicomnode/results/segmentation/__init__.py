"""Segmentation objects: lungs and infections as masks.

region_segments  The infections in regions as segments: the lesion in each box
segment_frames   The frames of a segmentation: their pixels, their place
segmentation     The segmentation: masks on the grid of the source, BINARY or as a label map
segments         What a segmentation holds: masks with their meaning, and who drew them
"""
