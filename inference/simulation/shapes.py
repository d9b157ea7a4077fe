"""Shapes of lesions as signed depth in mm, positive inside, and the frames that they lie in."""

from __future__ import annotations

import numpy as np

from inference.simulation.fields import Points, Values, Vector


def frame(rng: np.random.Generator, first: Vector) -> Vector:
    """Three unit vectors (3, 3) at right angles, the first one given, the rest turned by chance."""
    first = first / max(float(np.linalg.norm(first)), 1e-9)
    other = rng.standard_normal(3)
    second = other - (other @ first) * first
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)])


def ellipsoid(points: Points, centre: Vector, axes: Vector, radii_mm: Vector) -> Values:
    """`axes`: (3, 3) unit vectors, `radii_mm`: along each. Depth in units of the mean radius."""
    scaled = axes / radii_mm[:, None]
    form = scaled.T @ scaled
    z, y, x = points.offsets(centre)
    f = form.astype(np.float32)
    plane = f[1, 1] * y * y + f[2, 2] * x * x + 2 * f[1, 2] * y * x
    square = (plane + f[0, 0] * z * z) + z * (2 * f[0, 1] * y + 2 * f[0, 2] * x)
    np.maximum(square, 0.0, out=square)
    mean = np.float32(np.cbrt(np.prod(radii_mm)))
    depth: Values = (1.0 - np.sqrt(square)) * mean
    return depth


def cone(points: Points, apex: Vector, axis: Vector, half_angle: float) -> Values:
    """What lies within `half_angle` (radians) about a ray: a segment of the lung from its hilum."""
    z, y, x = points.offsets(apex)
    u = axis.astype(np.float32)
    along = u[0] * z + (u[1] * y + u[2] * x)
    square = z * z + (y * y + x * x)
    square -= along * along
    np.maximum(square, 0.0, out=square)
    across = np.sqrt(square, out=square)
    depth: Values = along * np.float32(np.sin(half_angle)) - across * np.float32(np.cos(half_angle))
    return depth


def half_space(points: Points, through: Vector, normal: Vector) -> Values:
    """What lies on the side of a plane that `normal` points to."""
    z, y, x = points.offsets(through)
    n = (normal / np.linalg.norm(normal)).astype(np.float32)
    depth: Values = n[0] * z + (n[1] * y + n[2] * x)
    return depth


def tube(points: Points, start: Vector, stop: Vector, radius_mm: float) -> Values:
    """A straight tube with round ends."""
    way = stop - start
    length = max(float(np.linalg.norm(way)), 1e-6)
    z, y, x = points.offsets(start)
    u = (way / length).astype(np.float32)
    along = u[0] * z + (u[1] * y + u[2] * x)
    beyond = along - np.clip(along, 0.0, np.float32(length))
    square = z * z + (y * y + x * x)
    square -= along * along
    square += beyond * beyond
    np.maximum(square, 0.0, out=square)
    depth: Values = np.float32(radius_mm) - np.sqrt(square)
    return depth


def bounds(
    centre: Vector, axes: Vector, radii_mm: Vector, room: float = 1.0
) -> tuple[Vector, Vector]:
    """Lowest and highest corner (mm) about an ellipsoid, `room` times as large."""
    reach = np.sqrt(((axes * radii_mm[:, None]) ** 2).sum(axis=0)) * room
    return centre - reach, centre + reach


def branches(
    rng: np.random.Generator, start: Vector, way: Vector, length_mm: float, radius_mm: float
) -> list[tuple[Vector, Vector, float]]:
    """A bronchus that forks twice, as tubes (start, stop, radius); each fork is thinner."""
    found = []
    tips = [(start, way / np.linalg.norm(way), radius_mm)]
    part = length_mm / 3
    for _ in range(3):
        grown = []
        for origin, direction, radius in tips:
            stop = origin + direction * part * rng.uniform(0.8, 1.2)
            found.append((origin, stop, radius))
            turn = frame(rng, direction)[1] * rng.uniform(0.35, 0.6)
            grown += [(stop, direction + sign * turn, radius * 0.8) for sign in (-1, 1)]
        tips = [(o, d / np.linalg.norm(d), r) for o, d, r in grown]
    return found


def near(points: Points, start: Vector, stop: Vector, room_mm: float) -> tuple[slice, ...]:
    """The part of a grid within `room_mm` of the box of two positions."""
    low, high = np.minimum(start, stop) - room_mm, np.maximum(start, stop) + room_mm
    return tuple(
        slice(int(np.searchsorted(line, a)), int(np.searchsorted(line, b, "right")))
        for line, a, b in zip(points, low, high, strict=True)
    )


def part_of(points: Points, cut: tuple[slice, ...]) -> Points:
    """The points of a part of their grid."""
    return Points(points.z[cut[0]], points.y[cut[1]], points.x[cut[2]])
