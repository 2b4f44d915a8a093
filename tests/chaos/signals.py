from __future__ import annotations

from events import Event
from tests.chaos.models import Item

happened = Event("chaos.happened", item=Item, mark=str)
# Undeclared: takes anything, a model's instance among it.
anything = Event()
