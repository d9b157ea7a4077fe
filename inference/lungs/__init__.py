"""Where the lungs are, how much of them there is, and what lies between them.

airways      The trachea and the main bronchi, followed slice by slice from the head downwards
block_means  Means over small blocks of a chest, in slabs spread over the height of its lungs
blood_pool   Attenuation of the blood in heart and great vessels
extent       How much lung there is, on which side, over which height
finder       Finds the lungs that every method looks at
lung_input   What the card of a lung network says about its input
lung_slices  What the U-net of the task `lungs` sees of a slice: the same in use and in training
network      Lungs by a network of a bundle: a U-net slice by slice
sides        Which lung is the right one: by its place in the patient, whatever found the mask
thresholds   Lung segmentation by thresholds and connected components
"""
