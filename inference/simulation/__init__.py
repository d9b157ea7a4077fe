"""Lesions painted into real chests: what the shipped weights learned from.

anatomy      Where in the lungs a lesion may sit
bacterial    Community-acquired-pneumonia-like: consolidation of a segment or lobe
canvas       The grid that lesions are drawn on, with the anatomy and the sharpness of its host
covid19      COVID-19-like: several rounded ground-glass areas below the pleura of both lungs
fields       Values on a lattice in millimetres, and smooth random fields made of them
host_noise   The noise and the sharpness of the host scan, so that what is painted has the same
host_tissue  Which of the host's voxels a lesion may take: lung and the rim of its pleura
influenza    Influenza-like: patches along the bronchi and vessels, towards the middle of the lungs
irrelevant   Findings that are no infection: nodules, masses, scars, calcified spots, atelectasis
lesions      Lesions as fractions of air replaced: what all patterns draw theirs with
paint        Paint a pattern into the lungs of a CT volume, with the truth of each voxel
patterns     What is painted, and what comes back: the painted volume with its truth
shapes       Shapes of lesions as signed depth in mm, positive inside
variation    Vary a host before it is painted, whatever the pattern
"""
