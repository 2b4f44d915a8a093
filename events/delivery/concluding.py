"""The result of a message, stored by the transaction that does its work: one commit for both."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error

from events.delivery.kept import Condition
from events.delivery.tally import Tally

logger = logging.getLogger("events")

# PostgreSQL's, for a statement in a transaction in which another has failed.
_SPOILED = "25P02"


class NotConcluded(Exception):
    """The result could not be stored: the work is rolled back, and done again without it."""


class Conclusion:
    """`write(tally, provided)` stores it, in the transaction that is open, and says whether it did: not where something
    else was provided. Only of a message that one transaction works off.
    """

    def __init__(self, write: Callable[[Tally, Condition | None], bool]) -> None:
        self._write = write
        # Whether it is committed, and so nobody else has to store one.
        self.stands = False

    def write(self, before: Tally, counted: Tally, provided: Condition | None = None) -> bool:
        """Whether it did, which it does unless `provided` says no. Raises `NotConcluded`."""
        whole = Tally()
        whole.add(before)
        whole.add(counted)
        try:
            return self._write(whole, provided)
        except Error as error:
            if getattr(error.__cause__, "sqlstate", None) == _SPOILED:
                # Before, by a receiver that swallowed an error: a failure of its own.
                raise
            logger.warning("events.result error=%r remedy='stored by itself, after the work'", error)
            raise NotConcluded from error
