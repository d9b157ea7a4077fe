"""Whose database this is: its rows name files that lie in one node's data directory."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import OwnerRow
from storage.statements import insert_into


def owner_of(session: Session, node_id: str) -> str:
    """The id of the node that the database belongs to; `node_id` if it belonged to none yet."""
    statement = insert_into(session, OwnerRow).values(slot=1, node_id=node_id)
    session.execute(statement.on_conflict_do_nothing())
    return session.scalars(select(OwnerRow.node_id)).one()
