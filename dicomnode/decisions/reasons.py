"""Reasons, as decisions give them: they are kept as they are given, so storage has the records."""

from __future__ import annotations

from storage.decided import Reason, ReasonValue, Verdict, failed_rules, with_later

__all__ = ["Reason", "ReasonValue", "Verdict", "failed_rules", "with_later"]
