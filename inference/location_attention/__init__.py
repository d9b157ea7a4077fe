"""Location attention (Xu et al. 2020): candidate regions, their classes, a vote, a verdict.

backend            What location attention needs of the software that computes its networks
candidate_regions  From boxes, maps and votes to the findings by region
engine             Location attention on a device: what candidates a volume has, and the verdict
findings           What location attention found in one volume
lesions            What of a candidate cube is lesion, in the volume's own voxels
measures           A candidate cube in the patient: its voxels, its centre in LPS mm, its volumes
network            The networks of location attention (Xu et al. 2020, figure 4)
openvino_backend   Location attention on OpenVINO: on a CPU quicker than PyTorch
patches            The 2-D patches of a candidate and their relative distance-from-edge
pieces             The lesions' map, computed where the candidates are and nowhere else
preprocess         From a volume to the V-Net's grid: the lungs' box, resampled, windowed
proposals          From the V-Net's maps to candidate cubes
tiles              The segmenter over a grid of any size, in overlapping tiles
torch_backend      Location attention on PyTorch: the reference on the CPU, and the way to a GPU
votes              From the probabilities of patches to one answer (Xu et al. 2020, section 2.6)
"""
