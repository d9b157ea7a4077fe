"""A chest-CT AI node: speaks DICOM, decides and drives (see README.md).

analyse/         The third step of a series: the worker computes findings, leaves result objects
assess/          The second step of a series: is it all here, and may we analyse it?
audit/           The audit trail: who connected, sent, received, was refused or changed something
campaign/        Working through an archive: what it has, what is worth having, a table of it
canary/          A synthetic patient on the whole way of a series, each night and after each change
cli/             The command line; nothing else of the node imports it
commitment/      Storage commitment: asking for a promise to keep objects, and giving it
config/          The configuration: one frozen object, read from one TOML file and passed in
commission/      `dicomnode commission`: a go-live test for each destination, and a sheet to sign
conformance/     `dicomnode conformance`: the DICOM conformance statement (PS3.2), from what is here
data_directory/  What lies in a node's data directory: whose it is, what has to go, and its back-ups
decisions/       Decides: pure functions of frozen dataclasses, `now` an argument, no I/O
deliver/         The last step of a series: result objects become files, rows and requests to PACSs
dicom_files/     Reads DICOM: from bytes that may be damaged to headers, pixels and volumes
fast_scp/        A Storage SCP at the speed of the wire, tied to pynetdicom 3.0.4; it knows no node
health/          Looks at a node, from any process: what it reads, `decisions.operating` judges
methods/         The configured methods: their bundles, running them, their findings as JSON
metrics/         What the processes of a node count, and how it is told to Prometheus
monitor/         A process that sees how the node fares, and tells whoever must know
network/         Associations, TLS and HTTP, as acceptor and as requestor
notes/           Notes on what was not analysed, and why
offline/         Without a PACS: a folder of files through the whole way, and the demonstration
placement/       Workers placed on a Ray cluster, and placed again; more where much waits
processes/       The processes of one node: who starts them, and what each of them does
pull/            Having an archive send series: C-MOVE, C-GET, WADO-RS
receive/         The first step of a series: C-STORE requests become files and rows
results/         Builds result data sets from findings; no files, no network, no database
synthetic/       A patient that never lived: what the way is tried with, and the statement made from
web/             What a node tells over HTTP: health, metrics and the status page
weights/         From labelled scans to a bundle: manifests, training, evaluation, simulation
broken_off       Jobs that an outage of the database broke off: begun anew, no attempt counted
clock            The time, as an argument: a look is tested at any moment
disk_gate        Asks the file system, now and then, whether there is room for what comes
errors           The errors of the node, by whose fault they are: data, peer, set-up, ours
held_lease       The lease of a job while its work goes on, prolonged by a thread beside it
lifecycle        How a process of the node starts, keeps at its work, and is asked to stop
logs             The log: what the node says of itself, as lines of text or of JSON
shared_file      A file that several processes append lines to, kept within bounds
tls              TLS contexts for associations, as acceptor and as requestor
version          What the product calls itself in every result (one place, read by packaging too)
"""
