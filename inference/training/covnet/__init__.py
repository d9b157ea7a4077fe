"""How COVNet is trained.

bags        Which slices of a scan are trained on together, and how many
data        COVNet's training data: prepared scans, and bags of their slices
losses      What COVNet is taught by: the scan's label and, where lesions are known, slices, places
norms       BatchNorm in training with few scans a step: statistics made anew, then held fast
plan        The task `covnet`: COVNet (Li et al. 2020) taught by labelled scans
settings    How COVNet is trained: every number in one place, written into the run
validation  How good COVNet is while it is trained, on the validation scans, and its calibration
"""
