"""What a node tells over HTTP, read-only and without the identity of a patient.

application  The paths that are served, as a WSGI application
chart        The series of a day by hour, as an SVG picture of bars
guard        Who may ask, and what every answer says besides: pure
parts        What the status page is made of: plain texts, for the template
server       The HTTP server (waitress), within limits
status_page  The status page: from what was seen of the node to HTML
tables       The tables of the status page
words        Times, sizes and names as the page shows them; no UID as a whole
"""
