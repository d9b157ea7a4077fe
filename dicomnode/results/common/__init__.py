"""What all result objects share: context, patient, codes, UIDs, words.

character_sets  Text of a source data set, decoded with its Specific Character Set (0008,0005)
codes           Codes of the result objects, as data
context         What result objects are built from, and what they are handed on as
encoding        The bytes of a result object
findings_text   What one method found, in plain words: its lines of the summary and of the pictures
key_slices      Which slices are shown: those that the decision rests on
modules         Modules that every result object has alike: patient, study, series, equipment
naming          The UIDs of all result objects are made here: names of what the objects hold
patient         One normalised header per study, from source headers that may be damaged
score_text      A score in text: never written as a certainty that it is not
sources         What result objects are made of, of the header of an analysed slice
summary         The answer in plain words: what stands first in the report and under each picture
uids            UIDs made from texts, and the digests that go into them
values          Is a value what its VR allows (PS3.5 section 6.2)? If not, what can be saved of it?
view            How a stored slice is turned to be shown in a radiologist's habit
"""
