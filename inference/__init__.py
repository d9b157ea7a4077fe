"""Computes: arrays with their geometry in, findings out. No DICOM tags, database or network.

arrays/              Arrays of voxels: masks, morphology, axes, resampling
backends/            The software and the device that compute a network
bundles/             Bundles: weights with the card that says what they are
covnet/              COVNet (Li et al. 2020): a ResNet-50 on every slice, joined by maxima
demonstration/       The bundles that the product comes with, one for each task
evaluation/          How good weights are
location_attention/  Location attention (Xu et al. 2020): candidate regions, their classes, a vote
lungs/               Where the lungs are, how much of them there is, and what lies between them
networks/            The networks that the methods are made of, as their papers give them
simulation/          Lesions painted into real chests: what the shipped weights learned from
training/            Training: one loop; what is taught to each network lies in its folder
entry_errors         What is wrong with the entries of a file, one sentence each
errors               The errors of inference, by what is at fault: the volume, the bundle
files                Files that are there whole or not at all
findings             What an analysis found: plain values that results are built from
heatmap              The heatmap of a slice: the grid of a network drawn back onto its pixels
memory               What was computed of single slices, while others of their series still come
progress             The stages of an analysis: how far each is, and how long it took
regions              Candidate regions of a volume: where they lie, and what they were voted
score_meaning        What the numbers of an answer mean, without arrays
ties                 Values that differ by no more than rounding are equal
volume               CT volume: Hounsfield units with the affine that places them in the patient
"""
