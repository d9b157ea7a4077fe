"""What the commands show: rows and outcomes as tables, text or JSON.

audit_view       What `dicomnode audit list` shows
campaign_view    What `dicomnode campaign status | list` shows
commitments_view  What `dicomnode deliveries commitments` shows: who asked us, and was told
deliveries_view  What `dicomnode deliveries` shows and does
delivery_words   How far the results of a series have got, and what to do about the rest
evaluation_view  How `dicomnode model evaluate` shows its way and its outcome to a person
findings_view    The methods' answers for a person, from what the queue keeps of them
flights_view     What `dicomnode audit flights` shows, and its CSV
model_view       `dicomnode model list | check | show`: which bundles there are
next_steps       What is next with a series: from its rows, by the configuration of the node
process_view     How `dicomnode process` and the demo show outcomes to a person
progress         Bars on standard error, for whatever takes over two seconds
pull_view        How `dicomnode pull` shows itself: a bar on a terminal, a line for each series
queue_list       What `dicomnode queue list` shows: a row for each series, and how many there are
queue_view       What `dicomnode queue show` shows: rows of the database as tables, text or JSON
queue_watch      What `dicomnode queue watch` shows: the list as it changes
refusals_view    What `dicomnode queue refusals` shows, and `why` of what was refused
replay_view      What `dicomnode replay` shows, and which record it is about
results_view     What `dicomnode results` shows and does: sets of results, and how far they have got
status_view      What `dicomnode status` shows: the facts, then the troubles with their remedies
step             What is next with a series: who does what, when and why, and what helps
tables           Tables of plain text, for the terminal and for pipes
why_view         What `dicomnode queue why` tells: all that led to where a series is
"""
