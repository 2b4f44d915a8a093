from __future__ import annotations

import os
from typing import Any

from depot.models import Parcel
from events import event


@event("depot.stored", version=2)
def stored(*, item: Parcel, place: str) -> None: ...


@event("depot.counted")
def counted(*, number: int, by: str = "hand") -> None: ...


if os.environ.get("DEPOT_UPCASTERS", "on") == "on":

    @stored.upcast(1)
    def name_the_place(fields: dict[str, Any]) -> dict[str, Any]:
        return {"item": fields["parcel"], "place": f"shelf {fields['shelf']}"}
