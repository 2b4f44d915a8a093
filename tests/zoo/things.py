"""Values of types a project may have of its own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag


class Mood(Enum):
    CALM = "calm"
    WILD = object()  # nothing JSON could hold


class Skill(Flag):
    FLIES = 1
    SWIMS = 2


class Cage:
    class State(Enum):
        OPEN = 1


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str


class Coin(Money):
    """A subclass without a serializer of its own."""
