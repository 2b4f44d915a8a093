"""How the values of one model field become JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeAlias, cast
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.db.models import Field, JSONField
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from events.exceptions import NotSerializable
from events.serializers import scalars
from events.serializers.json_type import Json
from events.serializers.registry import Serializer
from events.serializers.sensitive import holds_sensitive_key
from events.serializers.values import dump_value, load_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """`encode` and `decode` are inverse for values of `type`; None never reaches either.

    `normalise` makes such a value (or None) of whatever was assigned, as saving and loading would, or raises.
    """

    type: type
    encode: Callable[[Any], Json]
    decode: Callable[[Any], Any]
    normalise: Callable[[Any], Any]


# Texts, because Django's own Field takes no type arguments at run time.
AnyField: TypeAlias = "Field[Any, Any]"
MakeCodec: TypeAlias = "Callable[[AnyField], Codec | None]"


def identity(value: Any) -> Any:
    return value


def _plain_text(value: object) -> str:
    return scalars.plain_text(value) if isinstance(value, str) else str(value)


def text(field: AnyField) -> Codec:
    def normalise(value: Any) -> str | None:
        value = field.to_python(value)
        # Fields without a `to_python` of their own (FilePathField) make text of it only when they save it.
        return None if value is None else _plain_text(value)

    return Codec(type=str, encode=scalars.dump_text, decode=str, normalise=normalise)


def address(field: AnyField) -> Codec:
    # One address has many spellings, so even a text has to become the one that is stored.
    return replace(text(field), type=object)


def integer(field: AnyField) -> Codec:
    return Codec(type=int, encode=scalars.dump_int, decode=scalars.load_int, normalise=field.to_python)


def boolean(field: AnyField) -> Codec:
    return Codec(type=bool, encode=identity, decode=bool, normalise=field.to_python)


def real(field: AnyField) -> Codec:
    return Codec(type=float, encode=scalars.dump_float, decode=scalars.load_float, normalise=field.to_python)


def decimal(field: AnyField) -> Codec:
    return Codec(
        type=Decimal, encode=scalars.dump_decimal, decode=scalars.load_decimal, normalise=field.to_python
    )


def uuid(field: AnyField) -> Codec:
    return Codec(type=UUID, encode=scalars.dump_uuid, decode=scalars.load_uuid, normalise=field.to_python)


def day(field: AnyField) -> Codec:
    return Codec(type=date, encode=scalars.dump_date, decode=scalars.load_date, normalise=field.to_python)


def clock(field: AnyField) -> Codec:
    return Codec(type=time, encode=time.isoformat, decode=time.fromisoformat, normalise=field.to_python)


def _aware(value: datetime) -> datetime:
    # Under USE_TZ a naive value is stored as one in the default zone, so that is what it means.
    return timezone.make_aware(value, timezone.get_default_timezone()) if settings.USE_TZ else value


def moment(field: AnyField) -> Codec:
    def normalise(value: Any) -> datetime | None:
        if type(value) is date:
            # Not through `to_python`, which warns of it: saving the row has warned already.
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001  # made aware below
        return field.to_python(value)  # type: ignore[no-any-return]  # a datetime or None

    def encode(value: datetime) -> str:
        return datetime.isoformat(_aware(value) if value.tzinfo is None else value)

    return Codec(type=datetime, encode=encode, decode=datetime.fromisoformat, normalise=normalise)


def duration(field: AnyField) -> Codec:
    return Codec(
        type=timedelta,
        encode=scalars.dump_timedelta,
        decode=scalars.load_timedelta,
        normalise=field.to_python,
    )


def binary(field: AnyField) -> Codec:
    def normalise(value: Any) -> bytes | None:
        value = field.to_python(value)
        if value is None or isinstance(value, (bytes, bytearray, memoryview)):
            return None if value is None else bytes(value)
        raise TypeError(f"{type(value).__name__} is no binary value")

    return Codec(type=bytes, encode=scalars.dump_bytes, decode=scalars.load_bytes, normalise=normalise)


def file(field: AnyField) -> Codec:
    """The name in the field's own storage; a file that isn't there yet has none, and stays at home."""

    def normalise(value: Any) -> str | None:
        if not isinstance(value, File):
            return _plain_text(value)
        if not isinstance(value, FieldFile) or not cast("Any", value)._committed:
            raise ValueError("the file has not been saved to its storage")
        return None if value.name is None else scalars.plain_text(value.name)

    return Codec(type=str, encode=scalars.dump_text, decode=str, normalise=normalise)


def document(field: AnyField) -> Codec:
    """A JSONField: as text, since its own decoder may tell 1 from 1.0, and takes NaN."""
    encoder, decoder = cast("JSONField", field).encoder, cast("JSONField", field).decoder

    def encode(value: Any) -> str:
        # Without that key it would be another document, and look whole: so all of it stays at home.
        if holds_sensitive_key(value):
            raise NotSerializable("it holds a key that looks like a secret's name")
        return scalars.dump_text(json.dumps(value, cls=encoder))

    def decode(value: str) -> Any:
        return json.loads(value, cls=decoder)

    return Codec(type=object, encode=encode, decode=decode, normalise=identity)


def custom(field: AnyField) -> Codec:
    """Through the methods that Django's own serialization uses."""

    def encode(value: Any) -> Json:
        plain = field.value_to_string(SimpleNamespace(**{field.attname: value}))  # type: ignore[arg-type]
        if holds_sensitive_key(plain):
            raise NotSerializable("it holds a key that looks like a secret's name")
        return dump_value(plain, path=field.name)

    def decode(value: Json) -> Any:
        return field.to_python(load_value(value))

    return Codec(type=object, encode=encode, decode=decode, normalise=field.to_python)


def related(field: AnyField, target: Codec) -> Codec:
    """A foreign key: as the field it refers to."""

    def normalise(value: Any) -> Any:
        # Saved as NULL, where the field referred to has no empty text.
        empty = value == "" and not cast("Any", field).target_field.empty_strings_allowed
        return None if empty else target.normalise(value)

    return replace(target, normalise=normalise)


def registered(field: AnyField, serializer: Serializer) -> Codec:
    return Codec(type=object, encode=serializer.dump, decode=serializer.load, normalise=field.to_python)
