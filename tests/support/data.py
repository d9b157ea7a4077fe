"""Where the real CT of the tests lies (`tests/data/ct/README.md`)."""

from pathlib import Path

CT = Path(__file__).resolve().parents[1] / "data" / "ct"
PHILIPS = sorted((CT / "philips_5mm_noncontrast").glob("*.dcm"))
SIEMENS = sorted((CT / "siemens_8mm_10_slices").glob("*.dcm"))
LOCALIZER = sorted((CT / "philips_localizer").glob("*.dcm"))
