"""What workers do about a reader's action, in the reader's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple
from uuid import UUID

from events.models import Delivery, EventRecord, State
from workers.emails import send_welcome_email
from workers.files import remove_deleted_cover, remove_replaced_cover
from workers.recommendations import (
    count_read_book,
    recommend_after_reading,
    recommend_after_sorting,
    recommend_new_book,
)

Progress = Literal["working", "done", "failed"]

# Events of one request that are asked for: a form emits a handful.
_MOST = 50


class Words(NamedTuple):
    working: str
    done: str


class Errand(NamedTuple):
    text: str
    progress: Progress


_WORDS: dict[Callable[..., Any], Words] = {
    send_welcome_email: Words("Sending the welcome mail", "Welcome mail sent"),
    count_read_book: Words("Counting the book", "Book counted"),
    recommend_after_reading: Words("Choosing what else may please you", "Shelf updated"),
    recommend_new_book: Words(
        "Recommending it to readers of its author", "Recommended to readers of its author"
    ),
    recommend_after_sorting: Words(
        "Recommending it in its categories", "Recommendations in its categories updated"
    ),
    remove_deleted_cover: Words("Removing the cover’s file", "Cover’s file removed"),
    remove_replaced_cover: Words("Removing the old cover’s file", "Old cover’s file removed"),
}
# What is not in it (the audit) is nothing the reader waits for. In the order in which it is shown.
WORDS = {f"{function.__module__}.{function.__name__}": words for function, words in _WORDS.items()}


def errands(correlation_id: UUID) -> list[Errand]:
    """Of all that a request emitted, and what that caused. Two queries."""
    events = EventRecord.objects.filter(correlation_id=correlation_id).order_by("pk")
    listed = dict(events.values_list("pk", "receivers")[:_MOST])
    rows = Delivery.objects.filter(event_id__in=listed, receiver__in=WORDS)
    states = {
        (id, receiver): state for id, receiver, state in rows.values_list("event_id", "receiver", "state")
    }
    return list(_told(listed, states))


def _told(listed: dict[UUID, Iterable[str]], states: dict[tuple[UUID, str], str]) -> Iterator[Errand]:
    for name, words in WORDS.items():
        found = {states.get((id, name)) for id, receivers in listed.items() if name in receivers}
        # It found nothing to do.
        found.discard(State.SKIPPED)
        if State.DEAD in found:
            yield Errand(f"{words.working}: this did not work out, and we were told", "failed")
        elif found == {State.DONE}:
            yield Errand(words.done, "done")
        elif found:
            yield Errand(words.working, "working")
