"""The configuration: read from one TOML file into one frozen object, which is passed in.

alerts        The section about whom troubles are told, and how
audit         The audit trail: where it is kept, and where else it goes
credentials   Where a DICOMweb server is, and who we are to it: a secret kept elsewhere
destinations  Whom we open associations or connections with, and where results go
digest        The name of a configuration: whether two are the same, without a look at either
environment   Keys of the configuration that stand in environment variables
http          The section about health, metrics and the status page over HTTP
lines         On which line of a TOML document each of its entries stands
object_store  The object store: where it is, and who we are to it
origins       Every key with its value and where it came from, secrets hidden
reading       Reads the configuration file: TOML, checked, and its paths made whole
section       What the sections of the configuration have in common
sections      The sections of the configuration that are not a policy of a decision
settings      All of the configuration: one frozen object, passed in
"""
