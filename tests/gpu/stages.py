"""Where the time of a whole series goes: a table by stage."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from gpu.setting import IDENTITY, Setting, as_drawn
from inference.covnet.engine import Engine
from inference.location_attention.engine import RegionEngine
from inference.location_attention.network import CLASSES


def table(setting: Setting) -> str:
    """Seconds by stage of both methods, the second run of each; the lungs as drawn."""
    slices = 26 if setting.small else 300
    drawn = setting.chest(slices)
    volume = drawn.volume()
    rows = [f"{slices} slices of {'x'.join(map(str, volume.hu.shape[1:]))}:"]
    engine = Engine.load(setting.covnet_bundle(), setting.device_name)
    found = as_drawn(drawn)
    for again in (False, True):
        began = time.perf_counter()
        seconds = engine.analyse(volume, found.mask).seconds
        whole = time.perf_counter() - began
        if again:
            rows.append(_row(f"COVNet ({engine.backend})", seconds, whole))
    regions = RegionEngine.load(
        setting.regions(fold=False), IDENTITY, CLASSES, setting.region_settings, setting.device_name
    )
    for again in (False, True):
        began = time.perf_counter()
        seconds = regions.analyse(volume, found.mask).seconds
        if again:
            title = f"location attention ({regions.backend})"
            rows.append(_row(title, seconds, time.perf_counter() - began))
    if setting.device.type == "cuda":
        rows.append(
            f"| memory of the device, GiB | {torch.cuda.max_memory_reserved() / 2**30:.1f} |"
        )
    return "\n      ".join(rows)


def _row(title: str, seconds: Mapping[str, float], whole: float) -> str:
    parts = [f"{stage} {value:.2f}" for stage, value in seconds.items()]
    return f"| {title} | {' | '.join(parts)} | whole {whole:.2f} s |"
