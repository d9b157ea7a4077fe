"""Training of the networks of all tasks: data sets, losses, the loop, checkpoints. No DICOM."""
