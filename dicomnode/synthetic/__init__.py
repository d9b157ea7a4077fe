"""A patient that never lived: what the node's way is tried with, and its statement made from.

chest    A drawn chest with painted lesions, and the truth of each voxel
patient  Whose it is called, so that nobody takes it for a patient, and its CT instances
spacing  How far apart its slices lie: as a node takes them
results  The result objects of that patient, with findings that no method made
"""
