"""The noise and the sharpness of the host scan, so that what is painted has the same.

Noise power by spatial frequency is the mean of periodograms of flat pieces of soft tissue
(ICRU Report 87, section 4: noise-power spectrum); it holds the reconstruction kernel's texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask

Values = NDArray[np.float32]

PIECE = 16
"""Pixels along a side of the pieces that noise is measured in."""
TISSUE_HU = (-60.0, 160.0)
"""Muscle, heart, liver, blood, with or without contrast medium."""
FLATTEST = 0.25
"""Share of the pieces, those that vary least, that are taken to hold noise alone."""
FEWEST_PIECES = 8
LEAST_HU = 1.0
"""A phantom may be as flat as paper; no scan is."""
ASSUMED_HU = 15.0
"""Standard deviation where a host has no flat tissue to measure it in."""
SHARPNESS_MM = (0.35, 1.6)
"""Bounds of the Gaussian that the scanner blurs an edge with."""
STEP_HU = 880.0
"""From lung to chest wall."""


@dataclass(frozen=True, eq=False)
class HostNoise:
    """`tissue_hu`, `lung_hu`: standard deviations; `spectrum`: amplitude (PIECE, PIECE), mean
    square 1; `slice_correlation`: between neighbouring slices; `blur_mm`: sigma of the edges."""

    tissue_hu: float
    lung_hu: float
    spectrum: Values
    slice_correlation: float
    blur_mm: float

    def at(self, hu: Values) -> Values:
        """Standard deviation at these HU: from lung (-850) to soft tissue (0) a straight line."""
        share = np.clip((hu + 850.0) / 850.0, 0.0, 1.0)
        level: Values = (self.lung_hu + share * (self.tissue_hu - self.lung_hu)).astype(np.float32)
        return level

    def sample(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Values:
        """Noise of standard deviation 1 with the host's texture: (slices, rows, columns)."""
        slices, rows, columns = shape
        size = rows + -rows % PIECE, columns + -columns % PIECE
        amplitude = _enlarged(self.spectrum, size)
        noise = np.empty(shape, np.float32)
        keep = np.float32(self.slice_correlation)
        fresh = np.float32(np.sqrt(1 - keep**2))
        for index in range(slices):
            white = np.fft.rfft2(rng.standard_normal(size, np.float32))
            plane = np.fft.irfft2(white * amplitude, size)[:rows, :columns].astype(np.float32)
            noise[index] = plane if index == 0 else keep * noise[index - 1] + fresh * plane
        return noise


def measure_noise(hu: NDArray[np.int16], lungs: Mask, pixel_mm: float) -> HostNoise:
    """Of a volume (slices, rows, columns) that bears at least its lungs; nothing is changed."""
    pieces, pairs = _flat_pieces(hu)
    if len(pieces) < FEWEST_PIECES:
        flat = np.ones((PIECE, PIECE), np.float32)
        return HostNoise(ASSUMED_HU, ASSUMED_HU, flat, 0.0, _blur_mm(hu, lungs, pixel_mm))
    power = (abs(np.fft.fft2(pieces)) ** 2).mean(axis=0)
    tissue = float(np.sqrt((pieces**2).mean()))
    ratio = _grain(hu, lungs) / max(_grain_of(pieces), 1e-3)
    return HostNoise(
        tissue,
        tissue * float(np.clip(ratio, 0.6, 1.5)),
        np.sqrt(power / power.mean()).astype(np.float32),
        float(np.clip(pairs, 0.0, 0.9)),
        _blur_mm(hu, lungs, pixel_mm),
    )


def _flat_pieces(hu: NDArray[np.int16]) -> tuple[Values, float]:
    """Flat pieces (n, PIECE, PIECE) less their planes, and how alike those of one place are."""
    slices, rows, columns = (s - s % p for s, p in zip(hu.shape, (1, PIECE, PIECE), strict=True))
    step = max(1, slices // 40)
    found, alike = [], []
    for index in range(0, slices - 1, step):
        cut = np.stack([_pieces(hu[i, :rows, :columns]) for i in (index, index + 1)])
        inside = ((cut > TISSUE_HU[0]) & (cut < TISSUE_HU[1])).mean(axis=(0, 2, 3)) > 0.98
        here = _without_plane(cut[:, inside].astype(np.float32))
        found.append(here[0])
        alike.append((here[0] * here[1]).mean(axis=(1, 2)))
    pieces = np.concatenate(found) if found else np.zeros((0, PIECE, PIECE), np.float32)
    variance = (pieces**2).mean(axis=(1, 2))
    if not len(pieces):
        return pieces, 0.0
    flat = variance <= np.quantile(variance, FLATTEST)
    if variance[flat].mean() < LEAST_HU**2:
        return pieces[:0], 0.0
    return pieces[flat], float(np.concatenate(alike)[flat].mean() / variance[flat].mean())


def _pieces(image: NDArray[np.int16]) -> NDArray[np.int16]:
    rows, columns = (length // PIECE for length in image.shape)
    cut = image.reshape(rows, PIECE, columns, PIECE).swapaxes(1, 2)
    return cut.reshape(-1, PIECE, PIECE)


def _without_plane(pieces: Values) -> Values:
    """Less mean and slope along rows and columns (least squares): anatomy, not noise."""
    line = np.arange(PIECE, dtype=np.float32) - (PIECE - 1) / 2
    line /= np.sqrt((line**2).sum())
    pieces = pieces - pieces.mean(axis=(-2, -1), keepdims=True)
    by_row = (pieces.mean(axis=-1, keepdims=True) * line[:, None]).sum(axis=-2, keepdims=True)
    by_column = (pieces.mean(axis=-2, keepdims=True) * line).sum(axis=-1, keepdims=True)
    flat: Values = pieces - by_row * line[:, None] - by_column * line
    return flat


def _grain(hu: NDArray[np.int16], lungs: Mask) -> float:
    """Median size of the mixed second difference in the lungs: anatomy hardly moves it."""
    step = max(1, len(hu) // 12)
    sizes = []
    for index in range(0, len(hu), step):
        plane, mask = hu[index].astype(np.float32), lungs[index]
        inner = (
            mask[:-2, :-2]
            & mask[2:, 2:]
            & mask[2:, :-2]
            & mask[:-2, 2:]
            & (plane < -700)[1:-1, 1:-1]
        )
        sizes.append(abs(_mixed(plane))[inner])
    values = np.concatenate(sizes)
    return float(np.median(values)) if len(values) else 0.0


def _grain_of(pieces: Values) -> float:
    return float(np.median(abs(_mixed(pieces))))


def _mixed(plane: Values) -> Values:
    """Laplacian of both axes in turn (Immerkaer 1996, Computer Vision and Image Understanding)."""
    rows = plane[..., :-2, :] - 2 * plane[..., 1:-1, :] + plane[..., 2:, :]
    both: Values = rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:]
    return both


def _blur_mm(hu: NDArray[np.int16], lungs: Mask, pixel_mm: float) -> float:
    """From the steepest edges of the lungs: a step blurred by sigma rises by step / (2.5 sigma)."""
    step = max(1, len(hu) // 12)
    steepest = []
    for index in range(0, len(hu), step):
        edge = lungs[index, :, 1:-1] & ~(lungs[index, :, 2:] & lungs[index, :, :-2])
        rise = abs(hu[index, :, 2:].astype(np.float32) - hu[index, :, :-2])[edge] / 2
        steepest.append(rise)
    values = np.concatenate(steepest)
    if not len(values):
        return SHARPNESS_MM[1]
    rise_hu = max(float(np.percentile(values, 90)), 1.0)
    return float(np.clip(STEP_HU * pixel_mm / (np.sqrt(2 * np.pi) * rise_hu), *SHARPNESS_MM))


def _enlarged(spectrum: Values, size: tuple[int, int]) -> Values:
    """The amplitude at the frequencies of a larger plane, its half for a real transform.

    The kernel of the small one, laid into the large one, so that no frequency is left out.
    """
    kernel = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    large = np.zeros(size)
    rows, columns = ((s - PIECE) // 2 for s in size)
    large[rows : rows + PIECE, columns : columns + PIECE] = kernel
    amplitude = abs(np.fft.rfft2(large))
    norm = np.sqrt((abs(np.fft.fft2(large)) ** 2).mean())
    return np.asarray(amplitude / norm, np.float32)
