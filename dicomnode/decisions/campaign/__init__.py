"""Working through an archive: what is asked next, what falls by its tags, how fast, until when.

outlook  How long a campaign will take still, and by what
pace     Whether another series may be had now: hours, disk, workers
plan     What a person wishes of a campaign, and within which limits
tags     What an archive tells of a series without sending it: may it be analysed at all?
windows  Spans of time that an archive is asked for, halved where it caps its answers
"""
