"""The second step of a series: is it all here, and may we analyse it?

assessment   What the files of one series say: their headers, and the decision on them
assessor     The assessor: is a series complete, and may we analyse it? Reads headers
pacs_counts  Asks the PACS for its counts beside the assessor
renew        Analysing a series again: with another model or other settings
resends      Settles instances that came again with other content: reads both copies
study        The choice among the eligible series of a study
try_again    Trying a series again that failed: by a person who has mended what it failed by
"""
