"""The result of a message, stored by the transaction that does its work: one commit for both."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error

from events.delivery.tally import Tally

logger = logging.getLogger("events")


class NotConcluded(Exception):
    """The result could not be stored: the work is rolled back, and done again without it."""


class Conclusion:
    """`write(tally)` stores it, in the transaction that is open. Only of a message that one transaction works off."""

    def __init__(self, write: Callable[[Tally], None]) -> None:
        self._write = write
        # Whether it is committed, and so nobody else has to store one.
        self.stands = False

    def write(self, before: Tally, counted: Tally) -> None:
        """Raises `NotConcluded`."""
        whole = Tally()
        whole.add(before)
        whole.add(counted)
        try:
            self._write(whole)
        except Error as error:
            logger.warning("events.result error=%r remedy='stored by itself, after the work'", error)
            raise NotConcluded from error
