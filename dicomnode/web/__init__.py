"""What a node tells over HTTP, read-only and without the identity of a patient.

application  The paths that are served, as a WSGI application
guard        Who may ask, and what every answer says besides: pure
server       The HTTP server (waitress), within limits
"""
