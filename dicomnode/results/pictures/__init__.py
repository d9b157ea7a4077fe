"""Secondary Captures: key slices, montage, every slice with its heat.

all_slices    Every slice of the stack with its heatmap, to be scrolled through: an option
capture       Secondary Captures: a montage first, then the key slices, in one series
capture_text  What a picture says in words and boxes: the lines under it, the regions outlined on it
heatmap       A CT slice at lung window with a Grad-CAM over it, as colour
lettering     Letters in the pixels of a picture: the font, its size, and the glyphs that it has
montage       The montage: the key slices at a glance, three by three, the largest share first
multi_frame   What a multi-frame Secondary Capture says of its frames (PS3.3 section A.8.5)
outlines      Boxes of regions on a shown slice, each with its number
panel         The drawing of one key slice: what is burned into the pixels of a Secondary Capture
pixels        Colour pixels as they stand in an object: uncompressed, or JPEG baseline
"""
