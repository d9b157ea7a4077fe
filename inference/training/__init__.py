"""Training: one loop; what is taught to each network lies in its folder.

covnet/         How COVNet is trained
lungs/          How the U-net for lungs is trained
regions/        How both networks of location attention are trained
augment         Augmentation of bags of slices, in batches on the network's device
cache           Scans as a task prepared them, kept on disk: one safetensors file each, made once
calibration     Probabilities that mean what they say: the last layer's logits, scaled and shifted
checkpoint      A run's state on disk: network, Adam's moments, and where the run stands. No pickle
curves          The curves of a run: one CSV line for each quantity told, and a picture of them
initial         The weights that a training starts from
loop            The loop: steps, validation, checkpoints, curves. The same for all tasks
overlap_losses  Losses of networks that segment: overlap, for parts that fill little of the image
plan            What a task says before its data are there, and the data as it gets them
run             A run's folder: what was asked for, on whom it was trained, and how far it is
scan            A labelled scan: a volume with what is known of it
split           Who is trained on, who validates, who tests: by patient, never by scan
task            What the loop asks of a task: a network, batches, a loss, a validation
"""
