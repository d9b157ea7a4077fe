"""The tables of the object store: which one it is, and what of it cannot be read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import Base


class ObjectStoreRow(Base):
    """The one store of this database: `store_id` stands in an object of it, its mark.

    `marked_at`: since when that was seen there; NULL: it is being written.
    """

    __tablename__ = "object_store"
    __table_args__ = (CheckConstraint("number = 1", name="one"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    store_id: Mapped[str]
    marked_at: Mapped[datetime | None]


class DamagedObjectRow(Base):
    """An object that rows of a series name, and that is missing or not what was written there.

    `found_count`: how often somebody read it in vain. `lost_at`: since when its instances are asked
    of the archive, as nobody has a good copy.
    """

    __tablename__ = "damaged_object"

    object_name: Mapped[str] = mapped_column(primary_key=True)
    series_key: Mapped[str] = mapped_column(index=True)
    why: Mapped[str]
    found_at: Mapped[datetime]
    last_found_at: Mapped[datetime]
    found_count: Mapped[int]
    lost_at: Mapped[datetime | None]
