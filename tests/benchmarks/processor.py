"""How quick this processor can be at most with float32: the limit of any network."""

from __future__ import annotations

import time

import numpy as np

from inference.backends.openvino_graph import package


def matrix_product(edge: int, threads: int) -> float:
    """Floating-point operations a second of products of square float32 matrices, one a thread.

    The limit of this machine for OpenVINO: what no network here can be quicker than.
    """
    ops = package().opset13
    left, right = (ops.parameter([edge, edge], np.float32) for _ in range(2))
    model = package().Model([ops.matmul(left, right, False, False)], [left, right], "product")
    wishes = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": threads}
    compiled = package().Core().compile_model(model, "CPU", wishes)
    values = np.random.default_rng(0).random((edge, edge), np.float32)
    requests = [compiled.create_infer_request() for _ in range(threads)]
    best = 0.0
    for _ in range(3):
        begun = time.perf_counter()
        for request in requests:
            request.start_async({0: values, 1: values})
        for request in requests:
            request.wait()
        best = max(best, 2 * edge**3 * threads / (time.perf_counter() - begun))
    return best
