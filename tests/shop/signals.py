from __future__ import annotations

from django.dispatch import Signal

from events import Event, event
from tests.shop.models import Item

bought = Event("shop.bought", item=Item, amount=int)
told = Event("shop.told", text=str)
plain = Signal()


@event("shop.returned")
def returned(*, item: Item, why: str = "") -> None:
    """An item came back."""
