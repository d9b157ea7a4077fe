"""What kind of image is it: original slices, maps, virtual images, phantoms?

image_kind     What a slice is by its Image Type: acquired, a localizer, a view made of slices
phantom_terms  How phantoms and quality control are called, language by language: data, no rules
phantoms       Is it a phantom? Quality control, calibration and acceptance are no patients
virtual_image  Is it an image as acquired? Maps and virtual images are not
"""
