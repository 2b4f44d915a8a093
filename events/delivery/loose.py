"""Receivers with effects outside the database (`atomic=False`): recorded one by one, at least once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from events.crashpoints import crashpoint
from events.delivery.claim import AlreadyRecorded
from events.delivery.claiming import insert_known, lock_known, sorted_out
from events.delivery.decoding import Gone, Item, occurrences
from events.delivery.invoking import invoke
from events.delivery.occurrence import Occurrence
from events.delivery.running import Run
from events.delivery.trouble import NotBegun, repeated
from events.exceptions import BrokenTransaction, Skip
from events.models import Delivery, State


class LooseRun(Run):
    """A message whose claims are committed before the first effect, so that others leave it alone."""

    def chunks(self, items: Sequence[Item]) -> None:
        ours = self._claim(items)
        crashpoint("deliver.claimed")
        waiting = list(ours)
        try:
            for group in self._groups(ours):
                if self.switch.parked:
                    self._put_back(waiting)
                    return
                self._settle(group)
                waiting = waiting[len(group) :]
        except BaseException as ending:
            if isinstance(ending, NotBegun) or not isinstance(ending, Exception):
                # A shutdown uses up no try: what was begun, or not come to, is another worker's.
                give_back(self, waiting)
            raise

    def _groups(self, ours: list[Item]) -> list[list[Item]]:
        if not self.receiver.many:
            return [[item] for item in ours]
        size = self.receiver.batch
        return [ours[start : start + size] for start in range(0, len(ours), size)]

    def _claim(self, items: Sequence[Item]) -> list[Item]:
        if self.careful:
            return list(items)
        try:
            return repeated(self.using, lambda: self._claim_all(items))
        except AlreadyRecorded:
            return self._claim_known(sorted_out(self.claimer, items))

    def _claim_known(self, items: Sequence[Item]) -> list[Item]:
        try:
            return repeated(self.using, lambda: self._claim_all(items))
        except AlreadyRecorded:
            # Recorded by somebody in that moment: by whom, and what of it is ours, shows one by one.
            known = sorted_out(self.claimer, items)
            return [ours for item in known for ours in self._claim_one(item)]

    def _claim_one(self, item: Item) -> list[Item]:
        try:
            return repeated(self.using, lambda: self._claim_all([item]))
        except AlreadyRecorded:
            # Another worker's, since a moment ago.
            self.tally.elsewhere += 1
            return []

    def _claim_all(self, items: Sequence[Item]) -> list[Item]:
        fresh = [item for item in items if not item.recorded]
        recorded = [item for item in items if item.recorded]
        with transaction.atomic(using=self.using):
            locked, refused = lock_known(self.claimer, recorded)
            inserted = insert_known(self.claimer, fresh) if fresh else []
            self.claimer.assert_not_pruned(inserted)
        self.tally.elsewhere += len(recorded) - len(locked) - refused
        self.tally.refused += refused + len(fresh) - len(inserted)
        return locked + inserted

    def _settle(self, group: list[Item]) -> None:
        try:
            reasons = self._effect(group)
        except NotBegun:
            raise
        except Exception as error:
            self.reset()
            if isinstance(error, MemoryError) and len(group) > 1:
                raise
            if len(group) > 1:
                self._one_by_one(group)
                return
            self._failed(group[0], error)
            if isinstance(error, MemoryError):
                raise
        else:
            crashpoint("deliver.ran")
            self._finish(group, reasons)
            crashpoint("deliver.finished")

    def _one_by_one(self, items: Sequence[Item]) -> None:
        for number, item in enumerate(items):
            if self.switch.parked:
                self._put_back(items[number:])
                return
            self._settle([item])

    def _put_back(self, items: Sequence[Item]) -> None:
        give_back(self, items)
        self.tally.elsewhere += len(items)

    def _effect(self, group: list[Item]) -> str | None:
        """The reason, where it was skipped."""
        cases = occurrences(self.receiver, self.claimer.receiver, group, self.using)
        gone = [case for case in cases if isinstance(case, Gone)]
        if gone:
            if self.receiver.missing == "retry" or len(group) > 1:
                raise LookupError(str(gone[0]))
            return str(gone[0])
        try:
            invoke(self.receiver, [case for case in cases if isinstance(case, Occurrence)])
        except Skip as skip:
            if len(group) > 1:
                raise
            return str(skip) or "skipped"
        if self.reset():
            # Nobody will commit it.
            raise BrokenTransaction(
                "The receiver left a transaction open: what it had not committed is rolled back."
            )
        return None

    def _finish(self, group: list[Item], reason: str | None) -> None:
        if reason is None:
            repeated(self.using, lambda: self.claimer.finish(group))
            self.tally.done += len(group)
            self.switch.worked(len(group))
        else:
            for item in group:
                repeated(self.using, partial(self.claimer.skip, item, reason))
            self.tally.skipped += len(group)
            self.switch.worked(0, len(group))


def give_back(run: Run, items: Sequence[Item]) -> None:
    """What this process committed to begin and won't finish; a counted try is given back."""
    run.reset()
    rows = Delivery.objects.using(run.using).filter(
        receiver=run.claimer.receiver,
        event_id__in=[item.event_id for item in items],
        state=State.RUNNING,
        message_id=run.claimer.message_id,
    )
    for row in rows:
        row.tries -= int(run.careful)
        row.state, row.next_at = State.WAITING, Now()
        row.save(using=run.using, update_fields=["tries", "state", "next_at"])
