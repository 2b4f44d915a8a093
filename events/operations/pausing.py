"""Queues and receivers that hold still until somebody resumes them; nothing is lost meanwhile."""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple

from django.db import transaction

from events import pauses
from events.conf import settings
from events.deeds import Deed
from events.exceptions import EventsError
from events.models import IS_UNFINISHED, Delivery, PausedReceiver, Queue, State
from events.registry import registry
from events.texts import storable

logger = logging.getLogger("events")

Kind = Literal["queue", "receiver"]


class Target(NamedTuple):
    kind: Kind
    name: str


class UnknownTarget(EventsError, LookupError):
    """There is no queue or receiver of that name."""


def find(using: str, name: str, kind: Kind | None = None) -> Target:
    """The queue or the receiver called `name`. Raises `UnknownTarget` where there is none, or both."""
    kinds: list[Kind] = []
    if kind != "receiver" and name in known_queues(using):
        kinds.append("queue")
    if kind != "queue" and is_receiver(using, name):
        kinds.append("receiver")
    if len(kinds) == 1:
        return Target(kinds[0], name)
    if kinds:
        raise UnknownTarget(f"{name!r} is a queue and a receiver: say which, with --queue or --receiver.")
    queues = ", ".join(sorted(known_queues(using)))
    raise UnknownTarget(
        f"No queue or receiver is called {name!r}. The queues are {queues}; "
        f"`manage.py events list` shows the receivers."
    )


def known_queues(using: str) -> set[str]:
    rows = set(Queue.objects.using(using).values_list("name", flat=True))
    return rows | set(settings.QUEUES) | {receiver.route() for receiver in registry}


def is_receiver(using: str, name: str) -> bool:
    name = storable(name)
    # One that another version of the code has: its deliveries wait here, or it is paused already.
    rows = Delivery.objects.using(using).filter(receiver=name)
    return (
        name in registry
        or PausedReceiver.objects.using(using).filter(name=name).exists()
        # Apart: each has a small index of its own.
        or rows.filter(IS_UNFINISHED).exists()
        or rows.filter(state=State.DEAD).exists()
    )


def pause(using: str, target: Target, *, by: str, why: str = "") -> bool:
    """Whether it was running until now. Workers and relays know within a second."""
    with transaction.atomic(using=using):
        changed = (
            _pause_queue(using, target.name)
            if target.kind == "queue"
            else _pause_receiver(using, target.name, by, why)
        )
        _record(using, "paused", target, by, why, changed)
    return _done(using, "paused", target, by, changed)


def resume(using: str, target: Target, *, by: str, why: str = "") -> bool:
    """Whether it was paused until now."""
    with transaction.atomic(using=using):
        if target.kind == "queue":
            rows = Queue.objects.using(using).filter(name=target.name, paused=True)
            changed = rows.update(paused=False) > 0
        else:
            paused = PausedReceiver.objects.using(using).filter(name__in=_names(target.name))
            changed = paused.delete()[0] > 0
        _record(using, "resumed", target, by, why, changed)
    return _done(using, "resumed", target, by, changed)


def _record(using: str, what: str, target: Target, by: str, why: str, changed: bool) -> None:
    Deed(using=using, by=by, what=what, target=f"{target.kind} {target.name}", why=why).add(int(changed))


def _pause_queue(using: str, name: str) -> bool:
    row, created = Queue.objects.using(using).get_or_create(name=name, defaults={"paused": True})
    return created or Queue.objects.using(using).filter(pk=row.pk, paused=False).update(paused=True) > 0


def _pause_receiver(using: str, name: str, by: str, why: str) -> bool:
    rows = PausedReceiver.objects.using(using)
    values = {"by": storable(by)[:200], "why": storable(why)[:500]}
    # Every one of them, not only up to the first that is new.
    made = [rows.get_or_create(name=each, defaults=values)[1] for each in _names(name)]
    # A person's word counts more than the kill switch's: from now on nothing is let through.
    parked = rows.filter(name__in=_names(name), probe_at__isnull=False)
    return parked.update(probe_at=None, probe=None, **values) > 0 or any(made)


def _names(receiver: str) -> tuple[str, ...]:
    """Deliveries of before a rename run under the name of before."""
    if receiver not in registry:
        return (receiver,)
    found = registry.get(receiver)
    return (found.name, *found.aliases)


def _done(using: str, what: str, target: Target, by: str, changed: bool) -> bool:
    if changed:
        # This process publishes by what it has read: it reads again.
        pauses.current(using, fresh=0)
        logger.info("events.%s %s=%s by=%r", what, target.kind, target.name, by)
    return changed
