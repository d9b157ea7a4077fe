"""What becomes of an object that was sent: what a peer's answer means.

outcome       What came of sending one object, or of asking for the promise to keep it
store_status  What each status of a C-STORE response means, and what to do about it: the table
"""
