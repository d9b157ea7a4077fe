"""May the series be analysed? Every rule, and the choice among the series of a study.

attribute_rules  The rules of eligibility that attributes decide. Each always gives its reason
candidate        What the rules of eligibility look at: the policy, the instances, and their stack
chest            Is it a chest, and is it whole? The lungs decide, not Body Part Examined
contrast_rules   The rules of eligibility about contrast: each witness, and the decision from them
eligibility      May we analyse this series? Every rule answers, over all slices
patient_rules    The rule that all instances of a series are of one patient and study
stack_rules      The rules of eligibility that the geometry decides. Each always gives its reason
study_choice     One result for a study: which of its eligible series is analysed
"""
