"""The errors of inference, by what is at fault: the volume, the bundle, the numbers."""

from __future__ import annotations


class InferenceError(Exception):
    """Base of all errors that this package raises on purpose."""


class NoLungsError(InferenceError):
    """The volume holds no lungs, or too little of them; `found` and `limit` are in `unit`."""

    def __init__(self, what: str, found: float, limit: float, unit: str) -> None:
        super().__init__(f"{what}: {found:.1f} {unit} found, at least {limit:.1f} {unit} asked for")
        self.what = what
        self.found = found
        self.limit = limit
        self.unit = unit


class BundleError(InferenceError):
    """A bundle is not whole or not what its card says; the text names every difference."""

    def __init__(self, folder_name: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"bundle {folder_name}: " + "; ".join(problems))
        self.problems = problems


class NetworkOutputError(InferenceError):
    """The network gave numbers that are no probabilities (NaN or infinite)."""


class DeviceError(InferenceError):
    """The device asked for is not there."""


class VolumeError(InferenceError):
    """The volume's geometry is none of a chest: the text says what is out of bounds."""


class EvaluationError(InferenceError):
    """What is to be evaluated cannot be; the text names every problem."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        text = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"evaluation: {len(problems)} problem(s)\n{text}")
        self.problems = problems


class LesionTruthError(InferenceError):
    """What is known of a scan's lesions does not fit its label or the classes."""


class TrainingDivergedError(InferenceError):
    """A loss is no number any more: the learning rate is too high, or the data hold no numbers."""
