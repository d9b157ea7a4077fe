"""What the commands show: rows and outcomes as tables, text or JSON.

commitments_view  What `dicomnode deliveries commitments` shows: who asked us, and was told
deliveries_view  What `dicomnode deliveries` shows and does
delivery_words   How far the results of a series have got, and what to do about the rest
evaluation_view  How `dicomnode model evaluate` shows its way and its outcome to a person
findings_view    The methods' answers for a person, from what the queue keeps of them
model_view       `dicomnode model list | check | show`: which bundles there are
process_view     How `dicomnode process` and the demo show outcomes to a person
queue_view       What `dicomnode queue` shows: the rows of the database as tables, text or JSON
results_view     What `dicomnode results` shows and does: sets of results, and how far they have got
tables           Tables of plain text, for the terminal and for pipes
why_view         What `dicomnode queue why` tells: all that led to where a series is
"""
