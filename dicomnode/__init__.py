"""A chest-CT AI node: speaks DICOM, decides and drives (see README.md)."""
