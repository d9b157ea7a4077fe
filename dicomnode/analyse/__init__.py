"""The third step of a series: the worker computes the findings and leaves the result objects.

ability           What the workers of this machine have: they claim nothing that asks for more
ahead             Computes a series that seems whole before it is decided upon, in idle time
analysis          One eligible series through the whole analysis: files in, result objects out
flight            What the flight recorder keeps of an analysis
held_job          A job while its work goes on: its lease is kept, and what must not go on ended
highdicom_tables  highdicom's table of modules and attributes, read a module at a time
measured          What an analysis that was kept adds to the metrics
process           The role: loads the models, then analyses, one series at a time or several
predecessor       Which earlier report on a series the next one names as its predecessor
replay            Analyses a stored series again, as its flight record tells, and compares
worker            The worker: takes one ANALYSE job after the other, leaves results in the outbox
"""
