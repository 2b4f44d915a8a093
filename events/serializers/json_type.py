from __future__ import annotations

from typing import TypeAlias, Union

# What `json.loads` gives back. A union in quotes: the type contains itself.
Json: TypeAlias = Union["None", bool, int, float, str, "list[Json]", "dict[str, Json]"]
