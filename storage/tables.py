"""Every table, in whichever file it is defined: for who needs all of them."""

from __future__ import annotations

import storage.campaign_tables
import storage.commitment_tables
import storage.operating_tables
import storage.store_tables  # noqa: F401 - as those before: its tables are of this `Base`
from storage.columns import Base

METADATA = Base.metadata
