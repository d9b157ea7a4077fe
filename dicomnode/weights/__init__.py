"""From labelled scans to a bundle: manifests, training, evaluation, simulation; no network.

evaluate            `dicomnode model evaluate`: a bundle on the scans of a manifest
evaluation_against  The probabilities of another evaluation, for a comparison on the same scans
evaluation_bf16     What bfloat16 changes in each scan of an evaluation
evaluation_cases    From analysed scans to what the statistics take
evaluation_gallery  Pictures of some scans of an evaluation: does the heat lie on the lesion?
evaluation_plan     What is to be evaluated, checked as a whole before any scan is analysed
evaluation_scans    Each scan of an evaluation through the node's own engines
manifest            A manifest: a CSV file that names labelled scans for training and evaluation
nifti               Write volumes and masks as NIfTI files
scans               The scans of a manifest: a DICOM series, read as the node reads it, or NIfTI
simulate            `dicomnode model simulate`: lesions painted into the lungs of hosts
simulate_pictures   Pictures of simulated lesions for a human eye: host, painted host and truth
train               `dicomnode model train`: a manifest of labelled scans becomes weights
train_view          How a training shows itself to a person: progress bars on a terminal
"""
