"""Arrays of voxels: masks, morphology, axes, resampling.

components    Connected components and morphology of masks, in-plane or in the volume
morphology    Dilation and erosion of slices by discs, eight slices at a time
patient_axes  A volume turned into the patient's axes, the same way round for all
resample      Resampling along one axis, a few neighbours for each cell
"""
