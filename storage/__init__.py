"""Keeps: records, database, instance files, jobs, outbox. No DICOM network, no torch.

adopt            What lies in a data directory becomes rows of a new database, and is held
bucket           A bucket that others filled: its objects listed and read
by_hand          What a person does with a series: hold it, let it go, cancel it, put it first
campaign_arrivals   Whose an instance is that comes: a campaign's, or the clinic's
campaign_claims     Claims of a campaign's series: under a lease, fenced by a token
campaign_records    The plain records of campaigns
campaign_series     The series of a campaign: entered once, asked for, ended
campaign_tables     The tables of campaigns
campaigns        Campaigns: made, paused, removed; their windows; how far they are
canary_runs      The runs of the canary: which studies are its own, and how each ended
columns          What the columns of the tables are made of: times, records, partial indexes
commitment_answers   Requests for storage commitment that peers make of us, and the reports they get
commitment_requests  What is stored and whose promise is asked for; what reports make of it
commitment_tables    The tables of storage commitment: the requests in either direction
conflicts        Instances that came again with other content, and which content stands
copies           The copies on this machine of what lies in the object store
damage           Objects of the store that cannot be read, and what becomes of them
database         The database: SQLite in one file, or PostgreSQL, chosen by the URL alone
decided          What was decided on a series, and on which evidence: records with a form in JSON
deliveries       What an administrator does with deliveries: look, retry, drop
direct_io        Writing past the page cache
durable          Files that are whole and durable under their final name, or not there at all
early            Which series may be computed before it is decided upon, and how long that is of use
endings          Endings of UIDs by which a series is named, as short as they mean one alone
enqueue          Putting jobs into the queue, each once
errors           The errors of storage. No message bears a password or a patient's identity
flight_records   Of each analysis one record that outlives all, chained to the one before
folders          Folders whose names outlive a power cut
forgetting       A lost node that never comes back is forgotten: nobody waits for it any more
holders          Which node holds an instance that came to several, or whose holder is lost
incarnations     Which start of a node is heard of, and what an earlier one has no more
index            The index of what has come: associations, instances, and the series they add up to
instances        Instance files on disk, under names that tell nothing about the patient
jobs             Jobs: claimed under a lease, fenced by a token, parked when they kill their workers
worker_queue     What is left of the analyses for the workers of one node
known_store      The object store that the database knows, and no other in its place
lost_nodes       Nodes that are not heard of: what they held is free, what they had is sent for
models           The tables
move             Taking a whole database to another place: SQLite to PostgreSQL
nodes            Who works on this database: its rows name files in their data directories
notes            Which CT series were not analysed and have not been told of yet
outage           Which faults of a database are outages: over by themselves, and worth waiting for
outbox           The outbox: which result still has to reach which destination
object_store     An object store: a shared folder, S3, Google Cloud Storage or Azure
operating_tables  The tables of operating a node: refusals, troubles, canary runs, flight records
overview         What is asked of the database about a node as a whole, every few seconds
overview_records  What is told of a node as a whole: how much waits where, and since when
parts            Whose series an instance belongs to
placing          Where work is done: what one node alone can read, that one alone may claim
queries          What the command line reads: series, their jobs, results and deliveries
recent           What became of series lately: for who looks at a node, and not at a patient
records          The plain records that storage takes and returns
refusals         What receivers refused: alike counted in one row, found by UID or number
removable_files  Unlinking stored files while receivers may be given the same ones again
reopening        Undoing the decision on a series; what it was stays readable in its history
result_history   What became of results, written beside their files: withdrawn, sent, refused
result_sets      What becomes of results after they were made: found again, sent again, withdrawn
results          Files of the result objects, as durable as those of the instances
retention        Removing what is finished: first its rows, in one transaction, then its files
schema           Brings a database to the schema of this code, once
sealed           What belongs together as one object of an object store
sealing          Which files are sealed in the object store, and which objects no row names
series           Decisions about a series and their outcome, each in one transaction with its job
series_times     How the results of a series came to a destination for the first time, and when
statements       Statements that the two database systems spell each in its own way
store_tables     The tables of the object store: which one it is, what of it cannot be read
study            The series of one study, of which one is chosen
tables           Every table, in whichever file it is defined
timeline         Which history of the database is written now: after a fail-over another one
troubles         The troubles of the node, each from when it was first seen until it is over
"""
