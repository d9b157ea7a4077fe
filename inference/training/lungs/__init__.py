"""How the U-net for lungs is trained.

augmentation  Slices and their labels together, as other patients and scanners might have given them
data          Slices and their lungs, as the U-net of the task `lungs` learns from them
plan          Training of the task `lungs`: a U-net, slice by slice, on masks of the lungs
settings      How the U-net of the task `lungs` is trained: every number in one place
"""
