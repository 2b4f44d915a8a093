from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal

from events import tracking
from events.capture.captured import Captured
from events.capture.frame import frame, frame_once
from events.capture.naming import settled
from events.exceptions import NotSerializable
from events.serializers import Json, SnapshotPlan, plan_for
from events.serializers.scalars import BIGGEST_INT

logger = logging.getLogger("events")

OF_A_ROW = (post_save, post_delete, m2m_changed)
# Names of what Django sends with an instance that is saved or deleted.
_SENT = frozenset({"created", "origin", "raw", "update_fields", "using"})


class OfRow:
    """Of a signal about a row: its instance's values, and the other arguments."""

    __slots__ = ("arguments", "changes", "created", "held", "may_wait", "pk", "plan", "sender", "signal")

    def __init__(self, signal: Signal, sender: object, instance: Model, arguments: Mapping[str, Any]) -> None:
        self.signal, self.sender = signal, sender
        self.arguments = rest = dict(arguments)
        del rest["instance"]
        if "origin" in rest:
            # Of a deletion: a query that holds as many rows as it found.
            rest["origin"] = None
        self.created = created = bool(rest.get("created"))
        self.plan = plan = plan_for(type(instance))
        self.held = plan.hold(instance, created=created)
        self.pk = settled(instance).pk
        # Tracking settles what is loaded, so it is asked once per save, here.
        self.changes = (
            tracking.changes(instance, created=created, saved=rest.get("update_fields"))
            if signal is post_save
            else {}
        )
        self.may_wait = (
            plan.is_fixed(self.held)
            # Whoever sends such a signal by hand is told at once of what is wrong with it.
            and sender is type(instance)
            and _is_simple(self.pk)
            and _are_djangos(rest)
            and (not self.changes or plan.is_fixed(self._changed()))
        )

    def _changed(self) -> Iterable[Any]:
        return chain.from_iterable(self.changes.values())

    def size(self) -> int:
        size = 0
        for value in chain(self.held, self._changed()) if self.changes else self.held:
            kind = type(value)
            # Others are short.
            if kind is str or kind is bytes:
                size += len(value)
        return size

    def read(self) -> Captured:
        make = frame_once if self.may_wait else frame
        framed = make(self.signal, self.sender, self.plan.model, tuple(self.arguments.items()))
        snapshot = self.plan.encoded(self.held, created=self.created)
        data = {**framed.data, "instance": snapshot.data}
        changes, left_out = _dump_changes(self.plan, self.changes) if self.changes else ({}, [])
        if changes:
            data["changes"] = changes
        data |= framed.at_home((*snapshot.withheld, *left_out))
        return Captured(framed.type, self.plan.subject(self.pk)[:200], data)


def _is_simple(key: object) -> bool:
    """Whether a subject can be made of it, whatever it holds."""
    kind = type(key)
    if kind is int:
        return -BIGGEST_INT <= key <= BIGGEST_INT  # type: ignore[operator]
    return kind is UUID or (kind is str and key.isascii())  # type: ignore[attr-defined]


def _are_djangos(arguments: Mapping[str, Any]) -> bool:
    """Whether these are what Django sends along with a row that is saved or deleted: short, and not to be changed."""
    fields, using = arguments.get("update_fields"), arguments.get("using")
    return (
        _SENT.issuperset(arguments)
        and type(arguments.get("created", False)) is bool
        and type(arguments.get("raw", False)) is bool
        and type(using) is str
        and using in connections.settings
        and (fields is None or (type(fields) is frozenset and all(map(_is_name, fields))))
    )


def _is_name(name: object) -> bool:
    return type(name) is str and name.isascii()


def _dump_changes(
    plan: SnapshotPlan, changes: Mapping[str, tuple[Any, Any]]
) -> tuple[dict[str, list[Json]], list[str]]:
    dumped, left_out = {}, []
    for name, pair in changes.items():
        try:
            dumped[name] = [plan.dump(name, value) for value in pair]
        except NotSerializable as error:
            logger.warning("events.withheld field=%s reason=%s", name, error)
            left_out.append(name)
    return dumped, left_out
