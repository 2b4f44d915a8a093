"""What an event caused, and what caused it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from events.exceptions import EventsError
from events.models import Delivery, EventRecord

# Events of one story that are shown: a loop of causes must not fill the memory.
LIMIT = 1000
# Causes below each other in one tree: a longer chain goes on in a tree of its own, after it. Whoever draws or
# writes a tree does it by recursion.
DEEPEST = 25


class NoTrace(EventsError, LookupError):
    """Nothing of that id is in the outbox: it was pruned, or is an id of something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An event, its deliveries by name, and the events its receivers emitted, in order."""

    event: EventRecord
    deliveries: tuple[Delivery, ...]
    caused: tuple[Node, ...]

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        yield depth, self
        for node in self.caused:
            yield from node.walk(depth + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    # The one asked for.
    event: EventRecord
    # Several of one request, where what began it all was pruned, and of a chain that is too deep for one.
    roots: tuple[Node, ...]
    # Whether there is more of it.
    cut: bool = False

    def walk(self) -> Iterator[tuple[int, Node]]:
        for root in self.roots:
            yield from root.walk()


def find_event(using: str, name: str) -> EventRecord:
    """By the id of an event, of a delivery, or of a message (a task). Raises `NoTrace`."""
    events = EventRecord.objects.using(using)
    rows = Delivery.objects.using(using)
    if name.isascii() and name.isdigit() and len(name) <= 18:
        keys = list(rows.filter(pk=int(name)).values_list("event_id", flat=True))
    else:
        try:
            key = UUID(name)
        except ValueError:
            raise NoTrace(f"{name!r} is no id of an event, a delivery or a task.") from None
        in_message = rows.filter(message_id=key).order_by("event_id").values_list("event_id", flat=True)[:1]
        keys = [key, *in_message]
    found = events.filter(pk__in=keys).first()
    if found is None:
        raise NoTrace(
            f"Nothing of id {name} is in the outbox of {using!r}: pruned, or an id of something else."
        )
    return found


def trace(using: str, event: EventRecord, most: int = LIMIT) -> Trace:
    """Its story: at most `most` events of it, the earliest. Two queries."""
    events = EventRecord.objects.using(using).filter(correlation_id=event.correlation_id).defer("envelope")
    story = list(events.order_by("pk")[: most + 1])
    cut, story = len(story) > most, story[:most]
    deliveries: dict[UUID, list[Delivery]] = defaultdict(list)
    for row in Delivery.objects.using(using).filter(event_id__in=[e.pk for e in story]).order_by("receiver"):
        deliveries[row.event_id].append(row)
    return Trace(event=event, roots=_trees(story, deliveries), cut=cut)


def _trees(story: list[EventRecord], deliveries: dict[UUID, list[Delivery]]) -> tuple[Node, ...]:
    children: dict[UUID | None, list[Node]] = defaultdict(list)
    depths: dict[UUID | None, int] = {}
    for event in story:
        depths[event.pk] = (depths.get(event.causation_id, -1) + 1) % DEEPEST
    # The latest first: what an event caused is later than itself, so it stands when its cause is made.
    for event in reversed(story):
        cause = event.causation_id if depths[event.pk] else None
        caused = tuple(reversed(children.pop(event.pk, [])))
        node = Node(event=event, deliveries=tuple(deliveries[event.pk]), caused=caused)
        children[cause].append(node)
    return tuple(reversed(children[None]))
