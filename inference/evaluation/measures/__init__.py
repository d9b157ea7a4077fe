"""Statistics of answers, heat, regions and masks against the truth.

bootstrap       Intervals by the bootstrap over patients
calibration     Are the probabilities what they say? Calibration curve, Brier score
classification  How well cases are told into classes: every class against the others, with intervals
confusion       The confusion matrix and all that follows from it alone
delong          Area under the ROC curve with the interval of DeLong, DeLong and Clarke-Pearson 1988
estimate        A measured figure with its confidence interval, and the interval of a proportion
lesions         Which lesion a candidate region lies on
localisation    Does the heat lie on the lesion? The share of a heatmap within lesions and a margin
overlap         How far two masks of the lungs agree
roc             The ROC curve
truth           Which lesions a scan has, of which class, as masks
"""
