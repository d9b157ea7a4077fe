"""Was contrast given? From attributes and free text in many languages, and from pixels.

contrast       Was contrast given? What the attributes of the Contrast/Bolus Module say
decision       Was contrast given? The table that decides from the three witnesses
history_terms  What descriptions and reasons say of contrast but not of this scan
meaning        What a term of a description means, and the form of the tables of terms
pixels         Was contrast given? What the attenuation of the blood says
refusals       How consoles and people write that no agent was given, language by language: data
terms          What descriptions say of contrast, language by language: data, no rules
terms_asian    What descriptions say of contrast in Chinese, Japanese and Korean: data, no rules
text           Was contrast given? What the descriptions say
virtual_terms  What workstations call maps and virtual images, language by language: data, no rules
"""
