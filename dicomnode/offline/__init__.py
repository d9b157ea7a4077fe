"""Without a PACS: a folder of files through the whole way, and the demonstration.

demo          `dicomnode demo`: the whole way on real CT, with a stand-in PACS and a node of its own
demo_outcome  What the demo leaves behind and shows at its end
demo_pacs     A stand-in PACS for the demo: Storage SCP and C-ECHO on loopback, keeping what it gets
process       `dicomnode process`: a folder of DICOM files through decision, analysis and results
"""
