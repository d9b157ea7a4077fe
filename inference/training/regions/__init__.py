"""How both networks of location attention are trained.

anchors              What the proposal head is to say at each anchor
classifier_learning  How location attention's classifier learns: batches of patches, loss
crops                Pieces of a scan's grid with their lesions
data                 A scan as location attention learns it
initial              The weights that location attention starts from
lesion_truth         The lesions of a labelled scan, each with its class and its box
mining               What the segmenter proposes on the training scans
patch_data           Patches and their classes, cut as in use
plan                 Training of the task `regions`: location attention
proposal_losses      Losses of the proposal head: is a lesion there, and what box
segmenter_learning   How the segmenter of location attention learns: batches, loss
settings             How location attention is trained: every number in one place
volume_norms         BatchNorms that only training knows
"""
