"""The claim: the insert of a delivery's record, or the lock on the one there is, makes it ours alone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connections
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.clock import LOOK_AFTER, after
from events.delivery.by_index import by_index
from events.delivery.decoding import Item
from events.delivery.isolation import assert_still_there
from events.delivery.kept import Claim, Condition, all_kept, count
from events.delivery.statements import insert_records, known_records, update_records
from events.delivery.trouble import Overtaken
from events.identity import who
from events.models import Delivery, EventRecord, State
from events.texts import storable

# Seconds of a run. Below, the record would cost a good part of what it tells of.
WORTH_WRITING = 0.004
_PRUNED = "the claim waited for a prune, which took its rival and the event"


class AlreadyRecorded(Exception):
    """Some of the deliveries have a record: somebody else's claim, or the relay's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimer:
    """Claims deliveries of one message, in the transaction that is open on `using`."""

    receiver: str
    queue: str
    using: str
    message_id: UUID
    # What a record says while its transaction runs: only atomic=False lets others see it.
    state: State
    # Tells the records of this very attempt from those of any other, of the same message too.
    token: int = 0

    def anew(self) -> Claimer:
        """For the next attempt."""
        return replace(self, token=secrets.randbits(63))

    def insert(self, items: Sequence[Item]) -> int:
        """One plain INSERT, in the order of ids: another worker's claim of any of them makes us wait for it.

        Never one that ignores conflicts: nobody could tell which were not ours, and each would run twice. Raises
        `AlreadyRecorded`, and the transaction has to be rolled back. Events that are not in the outbox for the receiver
        are left out: fewer are claimed then. See `strangers`.
        """
        claimed = 0
        for attempt in sorted({item.attempt for item in items}):
            ids = [item.event_id for item in items if item.attempt == attempt]
            values = {"receiver": self.receiver, "queue": self.queue, "attempt": attempt, **self._ours()}
            try:
                claimed += insert_records(self.using, ids, values, self._times())
            except IntegrityError as error:
                raise AlreadyRecorded from error
        assert_still_there(self.using, [item.event_id for item in items])
        return claimed

    def lock(self, items: Sequence[Item], *, careful: bool = False) -> list[Item]:
        """Those of `items` whose record is as this message knows it; the records stay locked.

        Another attempt's message is stale: what it names is waiting, done, or on its way again.
        `careful`: this process committed already that it begins.
        """
        wanted = {item.event_id: item for item in items}
        with by_index(self.using):
            found = self._begun_records(list(wanted)) if careful else self._sent_records(list(wanted))
        known = [(pk, wanted[id]) for pk, id, attempt in found if attempt == wanted[id].attempt]
        if known:
            times = self._times()
            blank = dict.fromkeys({"next_at", "suspect_at"} - times.keys())
            update_records(self.using, [pk for pk, _ in known], blank | self._ours(), times)
        return [replace(item, recorded=True) for _, item in known]

    def _sent_records(self, ids: Sequence[UUID]) -> Sequence[tuple[int, UUID, int]]:
        return known_records(self.using, ids, self.receiver)

    def _begun_records(self, ids: Sequence[UUID]) -> Sequence[tuple[int, UUID, int]]:
        rows = self._locked(ids).filter(state=State.RUNNING, message_id=self.message_id)
        return list(rows.values_list("pk", "event_id", "attempt"))

    def _locked(self, ids: Sequence[UUID]) -> QuerySet[Delivery]:
        rows = self._rows(ids).order_by("event_id")
        can_lock = connections[self.using].features.has_select_for_update
        return rows.select_for_update() if can_lock else rows

    def begin(self, item: Item) -> Delivery | None:
        """The record of a careful delivery, locked, if it is as this message knows it."""
        return (
            self._locked([item.event_id]).filter(state=State.SENT, careful=True, attempt=item.attempt).first()
        )

    def _ours(self) -> dict[str, Any]:
        return {"state": self.state, "worker": who(), "message_id": self.message_id, "claim": self.token}

    def _times(self) -> dict[str, float]:
        """A claim's own transaction says at once all that there will be to say: nobody else sees it before."""
        return {
            "started_at": 0,
            **({"next_at": LOOK_AFTER} if self.state is State.RUNNING else {"finished_at": 0}),
        }

    def release(self, items: Sequence[Item]) -> None:
        """Take back, in the same transaction, the claims on `items` that we did not come to."""
        fresh = [item.event_id for item in items if not item.recorded]
        recorded = [item.event_id for item in items if item.recorded]
        with by_index(self.using):
            if fresh:
                self._rows(fresh).delete()
            if recorded:
                self._rows(recorded).update(**self._sent())

    def take_back(self, items: Sequence[Item]) -> None:
        """Claims that a receiver committed by ending their transaction: they would say done for ever."""
        for recorded in (True, False):
            ids = [item.event_id for item in items if item.recorded is recorded]
            rows = self._rows(ids).filter(state=State.DONE, claim=self.token)
            if recorded:
                rows.update(**self._sent())
            else:
                rows.delete()

    @staticmethod
    def _sent() -> dict[str, Any]:
        return {"state": State.SENT, "next_at": after(LOOK_AFTER), "finished_at": None}

    def kept(self, inserted: Sequence[Item] = (), took: float = 0) -> int:
        """How many of our claims are there, and done: fewer than were made, and somebody ended their transaction.

        Raises `Overtaken` where one of the `inserted` has lost its event. `took`: seconds each of them ran. Where that
        is enough to be worth it, the statement writes it down: till then they say that they ended when they began.
        """
        ids = self._prunable(inserted)
        if took < WORTH_WRITING:
            claims, events = count(self.using, self._claim(ids))
        else:
            rows = Delivery.objects.using(self.using).filter(message_id=self.message_id, claim=self.token)
            claims = rows.filter(state=State.DONE).update(started_at=after(-took), finished_at=Now())
            events = self._count_events(ids)
        if events != len(ids):
            raise Overtaken(_PRUNED)
        return claims

    def keeps(self, inserted: Sequence[Item], took: float, records: int) -> Condition | None:
        """That so many are kept, as a condition of the transaction's last INSERT, where that saves a round trip.

        None where it doesn't, or where there is a time to be written down. SQLite has no round trip to save, and copies
        each page that an INSERT … SELECT changes; MySQL can't say it.
        """
        if took >= WORTH_WRITING or connections[self.using].vendor != "postgresql":
            return None
        return all_kept(self.using, self._claim(self._prunable(inserted)), records)

    def _claim(self, ids: Sequence[UUID]) -> Claim:
        return Claim(self.message_id, self.token, ids)

    def finish(self, items: Sequence[Item]) -> None:
        """Record that they are done, where the claim didn't: the effect has happened, whatever the record says."""
        with by_index(self.using):
            self._rows([item.event_id for item in items]).update(**self._ended(State.DONE))

    def skip(self, item: Item, reason: str) -> None:
        self._rows([item.event_id]).update(reason=storable(reason)[:200], **self._ended(State.SKIPPED))

    def _ended(self, state: State) -> dict[str, Any]:
        return {
            "state": state,
            "finished_at": Now(),
            "next_at": None,
            "suspect_at": None,
            "worker": who(),
            "message_id": self.message_id,
        }

    def strangers(self, items: Sequence[Item]) -> set[UUID]:
        """Events that are not in the outbox, or don't list the receiver."""
        ids = [item.event_id for item in items]
        events = EventRecord.objects.using(self.using).filter(pk__in=ids)
        listed = {pk for pk, receivers in events.values_list("pk", "receivers") if self.receiver in receivers}
        return set(ids) - listed

    def assert_not_pruned(self, inserted: Sequence[Item]) -> None:
        """For claims that are committed before they run. Raises `Overtaken`."""
        ids = self._prunable(inserted)
        if self._count_events(ids) != len(ids):
            raise Overtaken(_PRUNED)

    def _prunable(self, inserted: Sequence[Item]) -> list[UUID]:
        # Where there is but one writer, nobody has deleted since.
        rivals = connections[self.using].features.has_select_for_update
        return [item.event_id for item in inserted] if rivals else []

    def _count_events(self, ids: Sequence[UUID]) -> int:
        # None is asked for: no statement is made.
        return EventRecord.objects.using(self.using).filter(pk__in=ids).count()

    def _rows(self, ids: Sequence[UUID]) -> QuerySet[Delivery]:
        return Delivery.objects.using(self.using).filter(receiver=self.receiver, event_id__in=ids)
