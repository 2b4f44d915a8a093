"""What the records of actions may quote of an event: notes, reasons, and outcomes. Those texts go, the records stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from events.delivery import kill_switch
from events.envelope import FORGOTTEN
from events.models import Action, Delivery, PausedReceiver
from events.operations.jobs import group_name
from events.registry import registry
from events.relay.slices import slices

# Deliveries that one statement asks about: each is named twice in it.
_ASKED = 200
# A deed that names several deliveries: events.operations.redelivering.
_SEVERAL = re.compile(r"deliveries ([\d, ]+)")


class _Tried(NamedTuple):
    pk: int
    receiver: str
    fingerprint: str


def silence(using: str, events: Iterable[UUID]) -> int:
    """Blank what was said of these events' deliveries: of each by itself, and of its kind of failure; how many actions.

    In the transaction that is open, and before the deliveries are touched: a job's step takes its action first, too.
    """
    return sum(_silence(using, some) for some in slices(_tried(using, events), _ASKED))


def silence_parking(using: str, events: Iterable[UUID]) -> None:
    """The same for why receivers are parked just now, after the deliveries: a relay that probes takes those first."""
    names = _parked(_tried(using, events))
    rows = PausedReceiver.objects.using(using).filter(name__in=names, by=kill_switch.BY)
    rows.exclude(why=FORGOTTEN).update(why=FORGOTTEN)


def silence_mentions(using: str, subjects: Sequence[str]) -> int:
    """Blank the texts that name one of the subjects; how many actions."""
    if not subjects:
        return 0
    named = [Q(**{f"{text}__contains": each}) for each in subjects for text in ("why", "outcome")]
    whole = re.compile("|".join(rf"(?<![\w.]){re.escape(each)}(?!,?\w)" for each in subjects))
    rows = _others(using).filter(reduce(or_, named))
    return _blank(using, [row.pk for row in rows if whole.search(f"{row.why}\n{row.outcome}")])


def _tried(using: str, events: Iterable[UUID]) -> list[_Tried]:
    rows = Delivery.objects.using(using).filter(event_id__in=list(events)).order_by("pk")
    return [_Tried(*row) for row in rows.values_list("pk", "receiver", "fingerprint")]


def _parked(tried: Iterable[_Tried]) -> list[str]:
    """Receivers that may have been parked for what they raised here, by the names they have today."""
    names = {each.receiver for each in tried if each.fingerprint}
    return sorted({registry.get(name).name if name in registry else name for name in names})


def _silence(using: str, tried: Sequence[_Tried]) -> int:
    keys = {each.pk for each in tried}
    kinds = {(each.receiver, each.fingerprint) for each in tried if each.fingerprint}
    targets = {f"delivery {key}" for key in keys} | {group_name(*kind) for kind in kinds}
    said = Q(target__in=sorted(targets)) | Q(first__in=sorted(keys))
    said |= Q(by=kill_switch.BY, target__in=[f"receiver {name}" for name in _parked(tried)])
    rows = list(_others(using).filter(said).values_list("pk", flat=True))
    return _blank(using, [*rows, *_naming(using, keys)])


def _naming(using: str, keys: set[int]) -> Iterator[int]:
    """Actions on several deliveries at once, one of ours among them."""
    several = Q(target__startswith="deliveries ") | Q(chosen__isnull=False, last__gte=min(keys))
    for row in _others(using).filter(several).only("target", "chosen"):
        named = (row.chosen or {}).get("keys") or _listed(row.target)
        if not keys.isdisjoint(named):
            yield row.pk


def _listed(target: str) -> list[int]:
    found = _SEVERAL.fullmatch(target)
    return [int(key) for key in found[1].split(",")] if found else []


def _others(using: str) -> QuerySet[Action]:
    """All but the records of who was forgotten, and why: they are what is to stay."""
    return Action.objects.using(using).exclude(what=FORGOTTEN).order_by("pk")


def _blank(using: str, keys: Sequence[int]) -> int:
    # Locked whether or not there is a text yet: a job that waits for its first would write one.
    rows = list(Action.objects.using(using).filter(pk__in=keys).order_by("pk").select_for_update())
    changed = [row for row in rows if {row.why, row.outcome} - {"", FORGOTTEN}]
    for row in changed:
        row.why = row.why and FORGOTTEN
        row.outcome = row.outcome and FORGOTTEN
    Action.objects.using(using).bulk_update(changed, ["why", "outcome"], batch_size=_ASKED)
    return len(changed)
