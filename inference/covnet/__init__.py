"""COVNet (Li et al. 2020): a ResNet-50 on every slice, joined by maxima, with Grad-CAM.

backend           What COVNet's engine needs of the software that computes the network
engine            An engine: a bundle loaded on a device, ready to analyse one volume after another
gradcam           Grad-CAM of COVNet in closed form, without a backward pass
network           COVNet (Li et al. 2020, Radiology 296:E65, "Deep Learning Model" and figure 2)
openvino_backend  COVNet on OpenVINO: on a CPU twice as quick as PyTorch, from the same weights
preprocess        From HU and lungs to what the network sees: crop, window, mask, resize
torch_backend     COVNet on PyTorch: the reference on the CPU, and the way to a GPU
"""
