"""OpenVINO, one image on each thread: measured, that is quicker than batches.

The maps of one image stay in a core's cache, and no batch and no number of threads changes a bit
of what an image gives. The precision is always named: by default OpenVINO takes bfloat16 where the
processor has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.backends.openvino_graph import package
from inference.backends.precision import Precision

Values = NDArray[np.float32]


class Streams:
    """A graph of one input and one output, compiled for the CPU."""

    def __init__(
        self, graph: Any, threads: int | None = None, precision: Precision = "f32"
    ) -> None:
        """`threads`: at once; None is as many as torch has."""
        self._threads = threads or torch.get_num_threads()
        wishes = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": self._threads,
            "INFERENCE_NUM_THREADS": self._threads,
        }
        self._compiled = package().Core().compile_model(graph, "CPU", wishes)

    def run(self, images: Iterable[Values]) -> Iterator[Values]:
        """The output of each image, in order; each is void once the next is asked for.

        One request more than there are threads: they never wait for who takes the outputs or
        makes the images, which are taken one by one.
        """
        requests = [self._compiled.create_infer_request() for _ in range(self._threads + 1)]
        given: list[Values | None] = [None] * len(requests)  # alive until it is computed
        beyond = repeat(None, len(requests))
        for index, image in enumerate(chain(images, beyond)):
            at = index % len(requests)
            if given[at] is not None:
                requests[at].wait()
                yield requests[at].get_output_tensor().data
            given[at] = image
            if image is not None:
                requests[at].start_async({0: image}, share_inputs=True)
