"""What every kind of event is to lead to."""

from __future__ import annotations

# Kind of event → receiver → whether it is atomic.
EXPECTED: dict[str, dict[str, bool]] = {
    "saved": {"note_save": True, "index_saves": True, "mail_save": False},
    "deleted": {"note_deletion": True},
    "tagged": {"note_tags": True},
    "happened": {"note_happening": True, "count_happenings": True, "notify": False},
    "anything": {"stumble": True, "linger": False},
}


def round_of(mark: str) -> int:
    return int(mark.partition("-")[0])
