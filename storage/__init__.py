"""Keeps: records, database, instance files, jobs, outbox. No DICOM network, no torch."""
