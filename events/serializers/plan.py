"""A model instance as it was when its signal fired, and back: compiled once per model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.core.signals import setting_changed
from django.db.models import ImageField, Model

from events.exceptions import NotSerializable
from events.serializers.codecs import AnyField, Codec
from events.serializers.fields import codec_for
from events.serializers.json_type import Json
from events.serializers.references import key_fields
from events.serializers.registry import serializers
from events.serializers.sensitive import is_sensitive_field
from events.serializers.stale import guard

logger = logging.getLogger("events.serializers")

# An expression: what it stands for only the database knows, so the field is deferred on the rebuilt instance.
_UNKNOWN = object()


class _Absent:
    """A field that the instance doesn't hold."""


_ABSENT = _Absent()
# Nobody can change a value of these: what is encoded of it later is what it is now.
_FIXED = frozenset(
    {str, int, bool, float, Decimal, UUID, datetime, date, time, timedelta, bytes, type(None), _Absent}
)

Encode = Callable[[Any], Any]


class Snapshot(NamedTuple):
    # By attname.
    data: dict[str, Json]
    # Attnames of fields whose value could not be captured: they should be reported.
    withheld: tuple[str, ...]


class SnapshotPlan:
    """`take` and `rebuild` cause no query and touch no file."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self._columns = tuple(model._meta.concrete_fields)
        codecs = {field.attname: self._codec(field) for field in self._columns}
        self._codecs: dict[str, Codec] = {name: codec for name, codec in codecs.items() if codec is not None}
        # Attnames of the fields that travel, and of those that never leave the process.
        self.names = frozenset(self._codecs)
        self.home = tuple(name for name, codec in codecs.items() if codec is None)
        # What most values are of goes straight to its encoder; any other is normalised first.
        self._on_insert = tuple(
            (name, codec.type, codec.encode, _assigned(codec)) for name, codec in self._codecs.items()
        )
        # The database computes generated ones again at an update, and Django doesn't ask for the result.
        computed = {field.attname for field in self._columns if field.generated}
        self._on_update = tuple(step for step in self._on_insert if step[0] not in computed)
        self._held_on_insert = _holder([step[0] for step in self._on_insert])
        self._held_on_update = _holder([step[0] for step in self._on_update])
        # A field's own code, and a document's, may depend on more than the value.
        self._is_fixed = _FIXED.issuperset(codec.type for codec in self._codecs.values())
        self._decoders = tuple(
            (name, None if codec is None else codec.decode) for name, codec in codecs.items()
        )
        self._keys = {field.attname for field in key_fields(model)}
        # Half of an event's subject; the other half is the key, unless that stays at home.
        self.label = model._meta.label_lower
        self.hides_key = not self._keys.isdisjoint(self.home)
        self._images = tuple(f for f in self._columns if isinstance(f, ImageField))

    def _codec(self, field: AnyField) -> Codec | None:
        return None if is_sensitive_field(field, self.model) else codec_for(field)

    def take(self, instance: Model, *, created: bool) -> Snapshot:
        """What `instance` holds now; a field it doesn't hold (deferred) is left out."""
        return self.encoded(self.hold(instance, created=created), created=created)

    def hold(self, instance: Model, *, created: bool) -> Sequence[Any]:
        """The same, for `encoded`; later too, where it `is_fixed`."""
        # Its __dict__ alone: a descriptor might query, or open a file.
        return (self._held_on_insert if created else self._held_on_update)(instance.__dict__)

    def is_fixed(self, values: Iterable[Any]) -> bool:
        """Whether these of its fields will be encoded as they would be now, whenever that is."""
        return self._is_fixed and _FIXED.issuperset(map(type, values))

    def encoded(self, held: Sequence[Any], *, created: bool) -> Snapshot:
        data: dict[str, Json] = {}
        withheld: list[str] = []
        steps = self._on_insert if created else self._on_update
        for (name, expected, encode, assigned), value in zip(steps, held, strict=True):
            if value is None:
                data[name] = None
            elif value is not _ABSENT:
                try:
                    encoded = encode(value) if type(value) is expected else assigned(value)
                except Exception:  # noqa: BLE001  # any field's code: the signal must not fail, the caller reports it
                    withheld.append(name)
                else:
                    if encoded is not _UNKNOWN:
                        data[name] = encoded
        return Snapshot(data, tuple(withheld))

    def subject(self, pk: Any) -> str:
        """`library.book/42`; without the key where the key itself is sensitive."""
        if pk is None or self.hides_key:
            return self.label
        return f"{self.label}/{','.join(map(str, pk)) if isinstance(pk, tuple) else pk}"

    def types(self) -> dict[str, type]:
        """Attname → what most values of the field are; `object` where that says nothing of its JSON."""
        return {name: codec.type for name, codec in self._codecs.items()}

    def dump(self, name: str, value: object) -> Json:
        """One value of the field with that attname, one of `names`. Raises `NotSerializable`."""
        try:
            encoded = None if value is None else self._encoded(self._codecs[name], value)
        except Exception as error:
            raise NotSerializable(f"{self.model._meta.label}.{name} can't travel: {error}") from error
        if encoded is _UNKNOWN:
            raise NotSerializable(
                f"{self.model._meta.label}.{name} holds an expression, which has no value yet"
            )
        return cast("Json", encoded)

    @staticmethod
    def _encoded(codec: Codec, value: object) -> Any:
        return codec.encode(value) if type(value) is codec.type else _assigned(codec)(value)

    def load(self, name: str, value: Json) -> object:
        """What `dump` was given, as the field holds it."""
        return None if value is None else self._codecs[name].decode(value)

    def rebuild(self, data: Mapping[str, Json], using: str) -> Model:
        """The instance as `take` saw it: what `data` lacks is deferred, what the model lacks is ignored."""
        given: dict[str, Any] = {}
        for name, decode in self._decoders:
            value = data.get(name, _ABSENT) if decode is not None else _ABSENT
            if decode is not None and value is not None and value is not _ABSENT:
                try:
                    value = decode(value)
                except Exception:
                    # The field has had another type since: it is deferred, like one that was added.
                    label = self.model._meta.label
                    logger.warning(
                        "The value in the event doesn't fit field=%s.%s", label, name, exc_info=True
                    )
                    value = _ABSENT
            if value is not _ABSENT:
                given[name] = value
            elif name in self._keys:
                # Deferred it could not even be shown: Django looks deferred values up by it.
                given[name] = None
        return guard(self._build(using, given))

    def _build(self, using: str, given: dict[str, Any]) -> Model:
        # Set once the instance stands: an image whose dimensions are unknown would be opened by its creation.
        late = {
            image.attname: given.pop(image.attname) for image in self._images if _would_open(image, given)
        }
        instance = self.model.from_db(using, list(given), list(given.values()))
        instance.__dict__.update(late)
        return instance


def _holder(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """What finds the values of these names, and `_ABSENT` for one that isn't there."""

    def one_by_one(values: Mapping[str, Any]) -> list[Any]:
        return [values.get(name, _ABSENT) for name in names]

    if len(names) < 2:
        return one_by_one
    all_at_once = itemgetter(*names)

    def held(values: Mapping[str, Any]) -> Sequence[Any]:
        try:
            found: tuple[Any, ...] = all_at_once(values)
        except KeyError:
            return one_by_one(values)
        return found

    return held


def _would_open(field: Any, given: Mapping[str, Any]) -> bool:
    dimensions = [name for name in (field.width_field, field.height_field) if name]
    return bool(given.get(field.attname)) and not all(given.get(name) for name in dimensions)


def _assigned(codec: Codec) -> Encode:
    """Encodes what isn't of the field's own type."""
    expected, encode, normalise = codec.type, codec.encode, codec.normalise

    def assigned(value: Any) -> Any:
        if hasattr(value, "resolve_expression"):
            return _UNKNOWN
        plain = normalise(value)
        if plain is not None and not isinstance(plain, expected):
            raise TypeError(f"{type(value).__name__} doesn't become {expected.__name__}")
        return None if plain is None else encode(plain)

    return assigned


@lru_cache(maxsize=1024)
def plan_for(model: type[Model]) -> SnapshotPlan:
    return SnapshotPlan(model)


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EVENTS":
        plan_for.cache_clear()


setting_changed.connect(_forget, dispatch_uid="events.serializers.plan")
serializers.on_change(plan_for.cache_clear)
