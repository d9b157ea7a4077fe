"""Notes on what was not analysed, and why.

offline      The notes on what was not analysed, of a folder of files
series_note  What a note tells of a series: its reasons, and what its header calls it
wanted       Of which series a note is expected
writer       Writes the notes on what was not analysed, by the policy of `[results] note`
"""
