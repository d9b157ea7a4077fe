"""The report of an evaluation: its tables, curves and words.

classes        The part of a report on how cases are told into classes
comparison     The part of a report that compares two models on the same cases
confusion_csv  A confusion matrix as a CSV table
document       A report as a list of blocks, to be written as Markdown or as HTML
heat           The part of a report on heat: does it lie on the lesions?
lungs          The part of a report on masks of the lungs
pages          A document as one HTML file that needs no other, or as Markdown
plots          The plots of a report, as PNG
regions        The part of a report on candidate regions: tables 1 to 4 of Xu et al. 2020
report         The report of an evaluation: what was evaluated, then the figures
strata         Cases by what they were taken with and of whom: scanner, thickness, kernel, sex, age
wording        How figures are written in a report
"""
