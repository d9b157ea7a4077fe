"""Working through an archive: what it has, what of it is worth having, and a table of what came.

bucket    A bucket of DICOM files as the source of a campaign
cohort    What an archive is asked about a cohort by C-FIND: studies, series, a few instances
folder    A folder of files as the source of a campaign
making    A campaign is entered: its plan checked against the configuration
runner    Works on a campaign: one step after another, each kept before the next
shared_pace  The rate of a campaign, whoever works on it
sources   What a runner asks of a source, and an archive that is asked
standing  How far a campaign is, and how long it will take still
table     The outcome: a row for each series, as CSV or Parquet
taking    Instances that a campaign reads itself go into the node as if they had been sent
web_cohort  The same as cohort of a DICOMweb server, by QIDO-RS
"""
