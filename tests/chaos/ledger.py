# ruff: noqa: S608 -- the names are those of our own models; every value is a parameter
"""The comparison of what was committed with what came of it: in SQL, for there are many rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection

from tests.chaos.expected import EXPECTED
from tests.chaos.models import Effect, Expectation, RolledBack, Truth

# Rows shown of each kind of trouble.
SHOWN = 5

_T, _X, _F = Truth._meta.db_table, Expectation._meta.db_table, Effect._meta.db_table
_R = RolledBack._meta.db_table
_DELIVERY, _EVENT = "offload_delivery", "offload_event"

LOST_EFFECTS = "effects lost"
DOUBLED_EFFECTS = "effects doubled"
GHOST_EFFECTS = "effects of nothing that was committed"

# What should be there and is not.
LOST = f"""
    SELECT t.round, t.mark, x.receiver FROM {_T} t JOIN {_X} x ON x.kind = t.kind
    WHERE {{scope}} AND NOT EXISTS (
        SELECT 1 FROM {_F} f WHERE f.round = t.round AND f.receiver = x.receiver AND f.mark = t.mark)
"""
# What is there more than once: by an atomic receiver, or with more than one idempotency key.
DOUBLED = f"""
    SELECT f.round, f.mark, f.receiver FROM {_F} f JOIN {_T} t ON t.mark = f.mark
    JOIN {_X} x ON x.kind = t.kind AND x.receiver = f.receiver
    WHERE {{scope}} GROUP BY f.round, f.receiver, f.mark, x.atomic
    HAVING COUNT(DISTINCT f.key) > 1 OR (x.atomic AND COUNT(*) > 1)
"""
# What is there of an event that was not committed, or that is none of the receiver's.
GHOSTS = f"""
    SELECT f.round, f.mark, f.receiver FROM {_F} f
    WHERE {{scope}} AND NOT EXISTS (
        SELECT 1 FROM {_T} t JOIN {_X} x ON x.kind = t.kind WHERE t.mark = f.mark AND x.receiver = f.receiver)
"""
# The same key in effects of two events.
SHARED_KEYS = f"SELECT 0, MIN(mark), f.key FROM {_F} f GROUP BY f.key HAVING COUNT(DISTINCT mark) > 1"
ROLLED_BACK = f"""
    SELECT f.round, f.mark, f.receiver FROM {_R} r JOIN {_F} f ON f.mark = r.mark
    UNION ALL SELECT t.round, t.mark, 'committed' FROM {_R} r JOIN {_T} t ON t.mark = r.mark
"""
UNFINISHED = f"""
    SELECT 0, d.receiver, d.state FROM {_DELIVERY} d WHERE d.state IN ('waiting', 'sent', 'running')
"""
DEAD = f"SELECT 0, d.receiver, d.error FROM {_DELIVERY} d WHERE d.state = 'dead'"
TWIN_ROWS = f"""
    SELECT 0, d.receiver, COUNT(*) FROM {_DELIVERY} d GROUP BY d.event_id, d.receiver HAVING COUNT(*) > 1
"""
ORPHANS = f"""
    SELECT 0, d.receiver, d.state FROM {_DELIVERY} d
    WHERE NOT EXISTS (SELECT 1 FROM {_EVENT} e WHERE e.id = d.event_id)
"""
REFUSED = "SELECT 0, r.receiver, r.reason FROM offload_refusal r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Rows that should not be: how many, and the first few."""

    what: str
    number: int
    first: tuple[tuple[Any, ...], ...]

    def __str__(self) -> str:
        shown = "\n".join("    " + " | ".join(str(value)[-300:] for value in row) for row in self.first)
        return f"{self.what}: {self.number}\n{shown}"


def expect() -> None:
    """Write down what every kind of event is to lead to."""
    Expectation.objects.bulk_create(
        Expectation(kind=kind, receiver=receiver, atomic=atomic)
        for kind, receivers in EXPECTED.items()
        for receiver, atomic in receivers.items()
    )


def load_rolled_back(files: Iterable[Path]) -> int:
    """What the web processes say they rolled back."""
    RolledBack.objects.all().delete()
    number = 0
    for file in files:
        marks = file.read_text().splitlines()
        RolledBack.objects.bulk_create((RolledBack(mark=mark) for mark in marks), batch_size=500)
        number += len(marks)
    return number


def of_round(number: int) -> list[Trouble]:
    """What is wrong with the events of a round."""
    return [
        *_asked(LOST_EFFECTS, LOST, "t.round = %s", number),
        *_asked(DOUBLED_EFFECTS, DOUBLED, "f.round = %s", number),
        *_asked(GHOST_EFFECTS, GHOSTS, "f.round = %s", number),
    ]


def of_all(pruned: int = 0) -> list[Trouble]:
    """What is wrong at the end, when nothing is to come any more, and `pruned` events are gone."""
    return [
        *_asked(LOST_EFFECTS, LOST, "1 = 1"),
        *_asked(DOUBLED_EFFECTS, DOUBLED, "1 = 1"),
        *_asked(GHOST_EFFECTS, GHOSTS, "1 = 1"),
        *_asked("idempotency keys of two events", SHARED_KEYS),
        *_asked("rolled back, with an effect or a row", ROLLED_BACK),
        *_asked("unfinished deliveries", UNFINISHED),
        *_asked("dead letters", DEAD),
        *_asked("deliveries with two rows", TWIN_ROWS),
        *_asked("messages refused", REFUSED),
        *_asked("deliveries of events that are gone", ORPHANS),
        *_events_and_truth(pruned),
    ]


def _events_and_truth(pruned: int) -> list[Trouble]:
    events, truths = pruned + _one(f"SELECT COUNT(*) FROM {_EVENT}"), _one(f"SELECT COUNT(*) FROM {_T}")
    if events == truths:
        return []
    return [
        Trouble(
            what="events in the outbox, against those committed",
            number=events - truths,
            first=((events, truths),),
        )
    ]


def _asked(what: str, statement: str, scope: str = "", *params: Any) -> list[Trouble]:
    statement = statement.format(scope=scope)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM ({statement}) found", params)
        number = cursor.fetchone()[0]
        if not number:
            return []
        cursor.execute(f"{statement} LIMIT {SHOWN}", params)
        return [Trouble(what=what, number=number, first=tuple(cursor.fetchall()))]


def _one(statement: str, *params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.fetchone()[0] or 0)


# --- Figures of a round -------------------------------------------------------------------------------------


def events_in(number: int) -> int:
    return _one(f"SELECT COUNT(*) FROM {_T} WHERE round = %s", number)


def expected_in(number: int) -> int:
    """Deliveries that the committed events of a round are to have."""
    return _one(f"SELECT COUNT(*) FROM {_T} t JOIN {_X} x ON x.kind = t.kind WHERE t.round = %s", number)


def events_in_all() -> int:
    return _one(f"SELECT COUNT(*) FROM {_T}")
