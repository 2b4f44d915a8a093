"""The claim: the insert of a delivery's record, or the lock on the one there is, makes it ours alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import IntegrityError, connections
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.clock import LOOK_AFTER, after
from events.delivery.by_index import by_index
from events.delivery.decoding import Item
from events.delivery.isolation import assert_still_there
from events.identity import who
from events.models import Delivery, EventRecord, State


class AlreadyRecorded(Exception):
    """Some of the deliveries have a record: somebody else's claim, or the relay's."""


def storable(text: str) -> str:
    """No database stores half a character, nor PostgreSQL a NUL: the text says what was there."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimer:
    """Claims deliveries of one message, in the transaction that is open on `using`."""

    receiver: str
    queue: str
    using: str
    message_id: UUID
    # What a record says while its transaction runs: only atomic=False lets others see it.
    state: State

    def insert(self, items: Sequence[Item]) -> None:
        """One plain INSERT, in the order of ids: another worker's claim of any of them makes us wait for it.

        Never ignore_conflicts: Django could not tell us which were not ours, and each would run twice.
        Raises `AlreadyRecorded`, and the transaction has to be rolled back.
        """
        rows = [self._row(item) for item in sorted(items, key=lambda item: item.event_id)]
        try:
            Delivery.objects.using(self.using).bulk_create(rows)
        except IntegrityError as error:
            raise AlreadyRecorded from error

    def _row(self, item: Item) -> Delivery:
        return Delivery(
            event_id=item.event_id,
            receiver=self.receiver,
            queue=self.queue,
            state=self.state,
            attempt=item.attempt,
            next_at=after(LOOK_AFTER) if self.state is State.RUNNING else None,
            worker=who(),
            message_id=self.message_id,
            started_at=Now(),
        )

    def lock(self, items: Sequence[Item], *, careful: bool = False) -> list[Item]:
        """Those of `items` whose record is as this message knows it; the records stay locked.

        Another attempt's message is stale: what it names is waiting, done, or on its way again.
        `careful`: this process committed already that it begins.
        """
        wanted = {item.event_id: item for item in items}
        rows = self._locked(list(wanted))
        if careful:
            rows = rows.filter(state=State.RUNNING, message_id=self.message_id)
        else:
            rows = rows.filter(state=State.SENT, careful=False)
        with by_index(self.using):
            ours = [
                replace(wanted[row.event_id], recorded=True)
                for row in rows
                if row.attempt == wanted[row.event_id].attempt
            ]
            if ours:
                self._rows([item.event_id for item in ours]).update(**self._begun())
        return ours

    def _locked(self, ids: Sequence[UUID]) -> QuerySet[Delivery]:
        rows = self._rows(ids).order_by("event_id")
        can_lock = connections[self.using].features.has_select_for_update
        return rows.select_for_update() if can_lock else rows

    def begin(self, item: Item) -> Delivery | None:
        """The record of a careful delivery, locked, if it is as this message knows it."""
        return (
            self._locked([item.event_id]).filter(state=State.SENT, careful=True, attempt=item.attempt).first()
        )

    def _begun(self) -> dict[str, object]:
        begun: dict[str, object] = {
            "state": self.state,
            "started_at": Now(),
            "worker": who(),
            "message_id": self.message_id,
        }
        if self.state is State.RUNNING:
            begun["next_at"] = after(LOOK_AFTER)
        return begun

    def release(self, items: Sequence[Item]) -> None:
        """Take back, in the same transaction, the claims on `items` that we did not come to."""
        fresh = [item.event_id for item in items if not item.recorded]
        recorded = [item.event_id for item in items if item.recorded]
        with by_index(self.using):
            if fresh:
                self._rows(fresh).delete()
            if recorded:
                self._rows(recorded).update(state=State.SENT)

    def take_back(self, items: Sequence[Item]) -> None:
        """Claims that a receiver committed by ending their transaction: they would say done for ever."""
        for recorded in (True, False):
            ids = [item.event_id for item in items if item.recorded is recorded]
            rows = self._rows(ids).filter(state=State.DONE, finished_at=None, message_id=self.message_id)
            if recorded:
                rows.update(state=State.SENT, next_at=after(LOOK_AFTER))
            else:
                rows.delete()

    def finish(self, items: Sequence[Item]) -> int:
        """Record that they are done; how many of our claims were still there."""
        with by_index(self.using):
            return self._claims(items).update(**self._finished(State.DONE))

    def skip(self, item: Item, reason: str) -> int:
        return self._claims([item]).update(reason=storable(reason)[:200], **self._finished(State.SKIPPED))

    def _claims(self, items: Sequence[Item]) -> QuerySet[Delivery]:
        rows = self._rows([item.event_id for item in items])
        # In the claim's own transaction our claim alone says so: where it doesn't, that transaction was ended
        # behind our back. (Outside of one, the effect has happened, whatever the record has come to say.)
        return rows.filter(state=State.DONE) if self.state is State.DONE else rows

    def _finished(self, state: State) -> dict[str, object]:
        return {
            "state": state,
            "finished_at": Now(),
            "next_at": None,
            "suspect_at": None,
            "worker": who(),
            "message_id": self.message_id,
        }

    def strangers(self, items: Sequence[Item]) -> set[UUID]:
        """Events that are not in the outbox, or don't list the receiver.

        Asked after the claim: a prune that took the event since then has taken our claim's rival too.
        """
        ids = [item.event_id for item in items if not item.recorded]
        if not ids:
            return set()
        events = EventRecord.objects.using(self.using).filter(pk__in=ids)
        listed = {pk for pk, receivers in events.values_list("pk", "receivers") if self.receiver in receivers}
        assert_still_there(events)
        return set(ids) - listed

    def _rows(self, ids: Sequence[UUID]) -> QuerySet[Delivery]:
        return Delivery.objects.using(self.using).filter(receiver=self.receiver, event_id__in=ids)
