"""`dicomnode conformance`: the DICOM conformance statement (PS3.2), from what the node is made of.

Layout: PS3.2 annex A. No table is typed here: each is read from the configuration, from the tables
that the node itself acts by, or from objects that are built for it.

accepting   What is accepted of peers: SOP classes, transfer syntaxes, associations, answers
contexts    Presentation contexts as rows of tables
initiating  What the node opens associations for, what it proposes, and what it does with answers
made        The objects that the node makes, built for the statement: one of each kind
objects     The annex on them: modules and attributes, templates, codes
statement   The whole statement, chapter by chapter
surrounds   Network, configuration, character sets, security
"""
