"""One message: claim first, run, record. See docs/decisions/0003-claim-first.md.

Safety comes from the claim alone: any message may come twice, in two workers at once; an effect happens once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from events.crashpoints import crashpoint
from events.delivery.chunk import Chunk, size
from events.delivery.claim import AlreadyRecorded, Claimer
from events.delivery.claiming import refuse_strangers, sorted_out
from events.delivery.concluding import Conclusion, NotConcluded
from events.delivery.decoding import Item
from events.delivery.failing import record_failure
from events.delivery.holding import hold
from events.delivery.kill_switch import UNWATCHED, Unwatched
from events.delivery.resetting import reset
from events.delivery.tally import Tally
from events.delivery.trouble import NotBegun, repeated
from events.registry import Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A message of events for one receiver, being worked off."""

    receiver: Receiver
    claimer: Claimer
    tally: Tally = field(default_factory=Tally)
    # The try is counted and committed already: a poison that ends the process has used it up.
    careful: bool = False
    # No transaction was open when it began, so none may be open when something went wrong.
    outermost: bool = True
    # Where one transaction works off all of the message.
    conclusion: Conclusion | None = None
    switch: Unwatched = UNWATCHED

    @property
    def using(self) -> str:
        return self.claimer.using

    def reset(self) -> bool:
        """Whether a transaction had been left open; it is gone."""
        return self.outermost and reset(self.using)

    def chunks(self, items: Sequence[Item]) -> None:
        waiting = list(items)
        while waiting:
            if self.switch.parked:
                self._put_back(waiting)
                return
            many = size(self.receiver, len(waiting))
            run = self if many == len(items) else self._inconclusive()
            left = run._attempt(waiting[:many])
            waiting = left + waiting[many:]

    def _inconclusive(self) -> Run:
        return replace(self, conclusion=None)

    def _attempt(self, items: list[Item]) -> list[Item]:
        """Run them in one transaction; those that it had no time for are returned."""
        chunk = Chunk(self, items)

        def once_more() -> list[Item]:
            nonlocal chunk
            chunk = chunk.anew()
            return chunk.work_off()

        try:
            return repeated(self.using, once_more)
        except AlreadyRecorded:
            return self._sorted_out(items)
        except NotBegun:
            raise
        except NotConcluded:
            self.reset()
            chunk.take_back()
            return self._inconclusive()._attempt(items)
        except Exception as error:
            self.reset()
            if isinstance(error, MemoryError) and len(items) > 1:
                # Each is run in a process that has memory.
                raise
            chunk.take_back()
            if len(items) > 1:
                self._one_by_one(items)
            else:
                self._failed(items[0], error)
                if isinstance(error, MemoryError):
                    raise
        return []

    def _failed(self, item: Item, error: BaseException) -> None:
        if not item.recorded and not refuse_strangers(self.claimer, [item]):
            # Its claim had waited for a prune: see Claimer.kept, which a receiver that fails never comes to.
            self.tally.refused += 1
            return
        state = record_failure(self.claimer, self.receiver, item, error, counted=self.careful)
        crashpoint("deliver.failed")
        self.tally.failed(state)
        if state is not None:
            self.switch.failed(error)

    def _sorted_out(self, items: list[Item]) -> list[Item]:
        known = sorted_out(self.claimer, items)
        if known != items and len(items) > 1:
            # All at once still, as a rule: a backlog's messages wait until the relay has recorded all of it.
            return self._attempt(known)
        self._one_by_one(known)
        return []

    def _one_by_one(self, items: Sequence[Item]) -> None:
        run = self._inconclusive()
        for number, item in enumerate(items):
            if self.switch.parked:
                self._put_back(items[number:])
                return
            run._attempt([item])

    def _put_back(self, items: Sequence[Item]) -> None:
        """Parked since: they wait, and have used up no try."""
        self.tally.elsewhere += hold(self.claimer, items)
