"""From headers to one stack of slices: geometry, passes, overlaps, copies, gaps.

attributes   The attributes by which stacks of one series are told apart
copies       Slices that are in a series twice: another UID, the same place, the same pixels
geometry     The slices of a series in space: their order, their distances
lost_slices  Slices lost so regularly that what is left lies evenly: every second one, or one end
overlaps     Two ranges of one scan that overlap by some slices
passes       Slices of two passes or phases in one stack: told by labels that come in turn along it
rounding     Positions that were rounded when they were written: evenly spaced before, uneven since
stacks       A series parted into its stacks: localizer and scan, phases, kernels
times        Times of DICOM as seconds, to compare them with each other
"""
