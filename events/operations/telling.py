"""What is to be told of one event: by whom, what changed, and what happened to each of its deliveries when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.dateparse import parse_datetime

from events.envelope import BY, decode
from events.models import Delivery, EventRecord, State
from events.operations.naming import model_of
from events.texts import last_line


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """The request that emitted it, as its envelope says."""

    method: str
    route: str
    user_id: str | None


_RAN = (State.RUNNING, State.DONE, State.SKIPPED)


class Change(NamedTuple):
    field: str
    before: Any
    after: Any


class Moment(NamedTuple):
    """One thing that happened to a delivery, and how long after the one before."""

    at: datetime
    what: str
    took: timedelta
    # Of a try that failed.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    by: By | None
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, envelope: str) -> Told:
        """Nothing of an envelope that was blanked, or is none."""
        try:
            data = decode(envelope).data
        except ValueError:
            return cls(by=None, changes=())
        return cls(by=_by(data), changes=_changes(data))


def _by(data: Mapping[str, Any]) -> By | None:
    found = data.get(BY)
    if not isinstance(found, dict):
        return None
    user = found.get("user_id")
    return By(method=str(found.get("method", "")), route=str(found.get("route", "")), user_id=user)


def _changes(data: Mapping[str, Any]) -> tuple[Change, ...]:
    # As they are stored: a field may be gone from the model since, and no code of it is asked.
    return tuple(
        Change(name, *pair)
        for name, pair in data.get("changes", {}).items()
        if isinstance(pair, list) and len(pair) == 2
    )


def timeline(event: EventRecord, row: Delivery) -> list[Moment]:
    """In order. Failed tries are by their worker's clock, all else by the database's: see events.models."""
    found: list[tuple[datetime, str, str]] = [(event.emitted_at, "emitted", "")]
    if row.receiver in event.published:
        found.append((event.emitted_at, "published by its emitter, right after the commit", ""))
    if row.asked_at:
        found.append((row.asked_at, "replayed", ""))
    if row.sent_at:
        found.append((row.sent_at, f"sent by a relay, as attempt {row.attempt}", ""))
    # Of a run that failed it says when that was recorded: the tries below say it better.
    if row.started_at and row.state in _RAN:
        found.append((row.started_at, f"started by {row.worker or 'a worker'}", ""))
    for number, failed in enumerate(row.failures or (), 1):
        at = parse_datetime(failed["at"]) if failed.get("at") else None
        if at:
            found.append((at, f"failed, try {number} by {failed.get('worker', '')}", failed.get("error", "")))
    if row.finished_at:
        found.append((row.finished_at, str(State(row.state).label), _why(row)))
    elif row.next_at and row.state == State.WAITING:
        found.append((row.next_at, "waits for its next try until then", ""))
    return _in_order(found)


def _why(row: Delivery) -> str:
    return row.reason or (last_line(row.error) if row.state == State.DEAD else "")


def _in_order(found: list[tuple[datetime, str, str]]) -> list[Moment]:
    # By time alone: what is of one time stays in the order in which it must have happened.
    found.sort(key=lambda each: each[0])
    moments: list[Moment] = []
    before = found[0][0]
    for at, what, error in found:
        moments.append(Moment(at, what, at - before, error))
        before = at
    return moments


def row_of(subject: str) -> Model | None:
    """The row that a subject names, as it is now; None where it is gone, or is none. One query."""
    label, _, pk = subject.partition("/")
    model = model_of(label)
    if model is None or not pk:
        return None
    key = tuple(pk.split(",")) if len(model._meta.pk_fields) > 1 else pk
    return _found(model, key)


def user_of(by: By | None) -> Model | None:
    return None if by is None or by.user_id is None else _found(get_user_model(), by.user_id)


def _found(model: type[Model], key: Any) -> Model | None:
    try:
        return model._base_manager.filter(pk=key).first()
    except (TypeError, ValueError, OverflowError, ValidationError):
        # No key of this model.
        return None
