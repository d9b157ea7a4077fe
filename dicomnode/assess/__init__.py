"""The second step of a series: is it all here, and may we analyse it?

again        Having a series decided on and analysed anew, as a person wishes: by the running node
assessment   What the files of one series say: their headers, and the decision on them
assessor     The assessor: is a series complete, and may we analyse it? Reads headers
by_hand      What a person does with series of the queue, and what it came to, in words
pacs_counts  Asks the PACS for its counts beside the assessor
resends      Settles instances that came again with other content: reads both copies
study        The choice among the eligible series of a study
"""
