from __future__ import annotations

from depot.models import Parcel
from events import event


@event("depot.stored")
def stored(*, parcel: Parcel, shelf: int) -> None: ...


@event("depot.counted")
def counted(*, number: int) -> None: ...
