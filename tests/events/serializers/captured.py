"""What a receiver of `post_save` would be given on a worker, by way of JSON text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from django.db.models import Model
from django.db.models.signals import post_save

from events.serializers import Json, Snapshot, dump_value, load_value, plan_for

M = TypeVar("M", bound=Model)


def through_json(value: Json) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def round_trip(value: object) -> Any:
    return load_value(through_json(dump_value(value, path="argument")))


def rebuilt(model: type[M], snapshot: Snapshot, *, using: str = "default") -> M:
    instance = plan_for(model).rebuild(through_json(dict(snapshot.data)), using)
    assert type(instance) is model
    return instance


def copied(instance: M, *, created: bool = False) -> M:
    """Taken and rebuilt, with nothing withheld."""
    snapshot = plan_for(type(instance)).take(instance, created=created)
    assert snapshot.withheld == ()
    return rebuilt(type(instance), snapshot)


@contextmanager
def snapshots(model: type[Model]) -> Iterator[list[Snapshot]]:
    """Those of the saves inside the block, taken when the signal fires."""
    taken: list[Snapshot] = []

    def take(instance: Model, created: bool, **kwargs: object) -> None:
        taken.append(plan_for(model).take(instance, created=created))

    post_save.connect(take, sender=model)
    try:
        yield taken
    finally:
        assert post_save.disconnect(take, sender=model)


def saved(instance: M) -> M:
    """Saved, and rebuilt from what its `post_save` carried."""
    with snapshots(type(instance)) as taken:
        instance.save()
    (snapshot,) = taken
    assert snapshot.withheld == ()
    return rebuilt(type(instance), snapshot)


def same(value: object, expected: object) -> bool:
    """Equal, of one type, and inside lists and dicts too."""
    if type(value) is not type(expected):
        return False
    if isinstance(value, dict) and isinstance(expected, dict):
        return list(value) == list(expected) and all(same(value[key], expected[key]) for key in value)
    if isinstance(value, (list, tuple)) and isinstance(expected, (list, tuple)):
        return len(value) == len(expected) and all(map(same, value, expected))
    # NaN is equal to nothing, and 0.0 to -0.0.
    return repr(value) == repr(expected) if isinstance(value, float) else value == expected
