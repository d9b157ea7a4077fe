"""The networks that the methods are made of, as their papers give them.

resnet  ResNet-18 and ResNet-50 (He et al. 2015, table 1)
unet    U-net (Ronneberger et al. 2015, figure 1), in two dimensions
vnet    V-Net (Milletari, Navab, Ahmadi 2016, section 2 and figure 2)
"""
