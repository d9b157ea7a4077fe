"""The configuration: read from one TOML file into one frozen object, which is passed in.

credentials   Where a DICOMweb server is, and who we are to it: a secret kept elsewhere
destinations  Whom we open associations or connections with, and where results go
reading       Reads the configuration file: TOML, checked, and its paths made whole
section       What the sections of the configuration have in common
sections      The sections of the configuration that are not a policy of a decision
settings      All of the configuration: one frozen object, passed in
"""
