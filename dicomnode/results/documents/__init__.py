"""Documents of text alone: notes, withdrawals, pages, a report as text.

note           The note that a study, or one series of it, was not analysed, and why
page           A page of text as a Secondary Capture: for the many viewers that show no report
reinstatement  The results of a withdrawn set once more: a withdrawal that is undone
retraction     Withdrawing results that were sent: a Key Object rejection note
text           Any Structured Report as indented text
text_document  A report that is text alone: what was not analysed, what was withdrawn
"""
