"""Where the lungs are, how much of them there is, and what lies between them.

airways           The trachea and the main bronchi, followed slice by slice from the head down
backend           What finding lungs needs of the software that computes the U-net
block_means       Means over small blocks of a chest, in slabs spread over the height of its lungs
blood_pool        Attenuation of the blood in heart and great vessels
chest             The body and its airways on a coarse grid: found once for all that looks for lungs
class_labels      The most probable class of each pixel, from logits on the network's coarser grid
extent            How much lung there is, on which side, over which height
finder            Finds the lungs that every method looks at
lung_input        What the card of a lung network says about its input
lung_slices       What the U-net sees of a slice: the same in use and in training
network           Lungs by a network of a bundle: a U-net slice by slice
openvino_backend  The U-net on OpenVINO, quicker on a CPU
sides             Which lung is the right one: by its place in the patient, whatever found the mask
thresholds        Lung segmentation by thresholds and connected components
tidied            What of a network's labels is lung: large pieces in the body, without its airways
torch_backend     The U-net on PyTorch: the reference on the CPU, and the way to a GPU
"""
