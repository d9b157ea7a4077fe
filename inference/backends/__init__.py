"""The software and the device that compute a network.

batches         PyTorch in batches, of whatever size the device has room for
choice          Which software computes a network: OpenVINO on a CPU where it is installed
device          The device that a network runs on, and how it must compute there
openvino_graph  Pieces of OpenVINO graphs that networks are built of, operation by operation
precision       In which precision networks compute: float32, or bfloat16 where it is proven
shared_batches  Batches of one size that are filled across several series
streams         OpenVINO, one image on each thread: quicker than batches
"""
