"""Reads DICOM: from bytes that may be damaged to headers, identity, pixels and volumes.

attributes         Reading single attributes of a data set without trusting any of them
codecs             Compressed frames decoded, each by the codec of its transfer syntax
codestreams        What a codestream says of the image that it holds
file_meta          The head of a DICOM file: file meta information, and where the data set begins
folder             A folder of files, sorted into series; what is no DICOM instance is told
frames             The slices that one instance holds, each with its header and pixels
functional_groups  Multi-frame CT taken apart: each frame as if it were an instance
headers            Reading headers: from a file or a data set to an `InstanceHeader`
identity           Which instance is this? Read from the first attributes of its data set or file
nested_attributes  Attributes of a header that occur several times or within sequences
pixel_element      Where Pixel Data stand in a file: the reading stops before them
pixels             Pixel Data of one CT instance, decoded and rescaled to Hounsfield units
quick_identity     The few elements that name an instance, straight from encoded bytes
read_again         A file that cannot be read just now: it is tried again, for a while
same_slices        Comparing slices by their pixels: copies of each other
volume             From the files of a series to its `CtVolume`: decoded, in Hounsfield units
"""
