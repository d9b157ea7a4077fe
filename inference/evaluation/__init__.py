"""How good weights are.

measures/  statistics of answers, heat, regions and masks against the truth
report/    their tables, curves and words
"""
