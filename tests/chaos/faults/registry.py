from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.chaos.stage import Stage

Action = Callable[[Stage, Random], None]


class Need(StrEnum):
    NOTHING = "nothing"
    OWN_BROKER = "a broker that the run started itself"
    POSTGRESQL = "PostgreSQL"
    OWN_POSTGRESQL = "a PostgreSQL that the run started itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    name: str
    what: str
    need: Need
    strike: Action


FAULTS: dict[str, Fault] = {}


def fault(name: str, need: Need = Need.NOTHING) -> Callable[[Action], Action]:
    """Register a fault; the function's docstring says what it does."""

    def register(action: Action) -> Action:
        FAULTS[name] = Fault(name=name, what=(action.__doc__ or "").strip(), need=need, strike=action)
        return action

    return register
