"""Decides: pure functions of frozen dataclasses, `now` an argument, no I/O.

arrival/            What may come in, what has come, and what to do with what comes again
campaign/           Working through an archive: what is asked next, how fast, until when
contrast/           Was contrast given? From attributes, free text in many languages, and pixels
delivery/           What becomes of an object that was sent: the answers of peers as a table
eligibility/        May the series be analysed? Every rule, and the choice within a study
image_kind/         What kind of image is it: original slices, maps, virtual images, phantoms?
operating/          What an administrator must know of a node that runs
stack/              From headers to one stack of slices: geometry, passes, overlaps, copies, gaps
analysis_needs      What the analysis of a series asks of a worker, as its headers tell
agreement           Whether the methods agree on a series, whose class sets are not the same
hours               Hours of the day within which an archive may be asked
instance_header     The attributes of one slice that decisions read
method_failure      That one of several methods came to no answer on a series, and why
patient_attributes  Whose instance is it? What a header says of its patient
placement           How many workers a cluster is to have, by what waits for them
policy              A policy: a frozen dataclass whose limits stand at its fields
pulling             What an archive is asked for next, how quickly, and what it answered
reasons             Reasons, as decisions give them: storage has the records
rejection           Why results are withdrawn
result_options      What a site chooses of its result objects: `[results]`
retention           May the files of a series go? Only what has ended
retry               When to try again, and when to give up: exponential delays with a cap
term_table          Finding the terms of a table in a text, however they are spelt there
wording             Words for people: how many of a thing, a rule with its value and its key
"""
