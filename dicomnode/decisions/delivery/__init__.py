"""What becomes of an object: where it is to go, and what a peer's answer means.

class_advice       What to change where a destination takes no objects of a SOP class
commitment_status  What the failure of an object in a commitment report means: the table
outcome            What came of sending one object, or of asking for the promise to keep it
routes             Which destinations get an object: by who sent the CT series, and by its kind
series_delivery    How far the results of a series have got, in the words of who waits for them
store_status       What each status of a C-STORE response means, and what to do about it: the table
stow_response      What the body of a STOW-RS response says of each instance
stow_status        What the answer to a STOW-RS request means, and what to do about it: the table
"""
