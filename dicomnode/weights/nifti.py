"""Write volumes and masks as NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import DataError
from inference.files import whole_file
from inference.volume import spacing_of

_SQUARE = 1e-3
"""Cosine up to which axes count as standing at right angles: NIfTI's quaternion knows no shear."""


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """`values`: (slices, rows, columns); `affine`: of those to LPS mm; compressed as `path` says.

    The file is whole or not there.

    Raises:
        DataError: the axes are not at right angles.
    """
    import SimpleITK

    itk: Any = SimpleITK  # most of its functions are untyped
    spacing = np.array(spacing_of(affine))
    directions = affine[:3, :3] / spacing
    if abs(directions.T @ directions - np.eye(3)).max() > _SQUARE:
        raise DataError("geometry", "axes that are not at right angles", "none tilted")
    image = itk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection(directions[:, ::-1].ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    with whole_file(path) as part:
        itk.WriteImage(image, str(part), useCompression=True, compressionLevel=1)
