"""A receiver that holds a secret when it fails."""

from __future__ import annotations

from typing import Any

from events import Backoff, Event, offload
from tests.shop.models import Item

opened = Event("shop.opened", item=Item, note=str)


@offload(opened, queue="default", retry=Backoff(tries=1))
def open_safe(sender: Any, item: Item, note: str, **kwargs: Any) -> None:
    # The worker has it from the row, where it belongs.
    combination = item.api_token
    assert combination
    raise RuntimeError(f"the safe is stuck: {note}")
