from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class FractionDecoder(json.JSONDecoder):
    """Reads fractions as `Decimal`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(parse_float=Decimal, **kwargs)
