"""The pynetdicom that the node is written for.

The receive path, the connections to peers and the negotiation use names that pynetdicom keeps for
itself and may change in any release. With another version they might fail in the middle of an
association, or quietly do something else: the node does not start then.
"""

from __future__ import annotations

import sys
from importlib import metadata

from dicomnode.errors import ConfigurationError

FITTING_VERSIONS = ("3.0.4",)


def check_pynetdicom() -> None:
    """
    Raises:
        ConfigurationError: another pynetdicom is installed; says which is needed.
    """
    imported = sys.modules.get("pynetdicom")  # a second of a processor: not for who only asks
    found = imported.__version__ if imported else metadata.version("pynetdicom")
    if found not in FITTING_VERSIONS:
        wanted = " or ".join(FITTING_VERSIONS)
        raise ConfigurationError(f"pynetdicom {found} is installed; this node needs {wanted}")
