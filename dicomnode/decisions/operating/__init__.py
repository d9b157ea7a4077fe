"""What an administrator must know of a node that runs: from facts to troubles with a remedy.

canary             The canary: is a run due, and is what came of it as it must be?
database_troubles  Troubles of a database that several nodes share: one is lost, or runs twice
equipment_troubles  Troubles of hosts that analyse with different models or settings
facts              What was looked at: plain values of processes, database, disk, configuration
health_policy      From where on something is a trouble: `[health]`
judge              From facts to troubles; whether the node is ready to receive
machine_troubles   Troubles of the machine and of the node's own processes
message            What an alert says: as JSON for a webhook, as text for a person
peer_troubles      Troubles with those who send: silent, turned away, refused; and the canary
processes          The processes of a node, as the supervisor writes down how they fare
silence            Is a sender silent? By its hours where they are configured, else by its past
telling            When a trouble is told, and when that it is over: once each, to each way
troubles           What troubles the node: a sentence with figures, and the one step that mends it
wording            Times, numbers and foreign names in the sentences of troubles
worker_troubles    Troubles of what waits for a worker that is not there
work_troubles      Troubles of the work: what waits, fails, or does not reach its destination
"""
