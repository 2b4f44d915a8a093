"""Which codec a model field has, and which fields stay at home."""

from __future__ import annotations

from typing import Any, cast

from django.db import models

from events.serializers import codecs
from events.serializers.codecs import AnyField, Codec, MakeCodec
from events.serializers.registry import serializers

BUILT_IN: dict[type[AnyField], MakeCodec] = {
    models.CharField: codecs.text,
    models.TextField: codecs.text,
    models.FilePathField: codecs.text,
    models.IPAddressField: codecs.text,
    models.GenericIPAddressField: codecs.address,
    models.IntegerField: codecs.integer,
    models.BooleanField: codecs.boolean,
    models.FloatField: codecs.real,
    models.DecimalField: codecs.decimal,
    models.UUIDField: codecs.uuid,
    models.DateField: codecs.day,
    models.TimeField: codecs.clock,
    models.DateTimeField: codecs.moment,
    models.DurationField: codecs.duration,
    models.BinaryField: codecs.binary,
    models.FileField: codecs.file,
    models.JSONField: codecs.document,
}

# A subclass that replaces one of these holds other values than its base.
_VALUE_METHODS = ("to_python", "from_db_value", "get_prep_value", "value_to_string", "get_db_converters")
# What decrypts on the way from the database.
_LOADING_METHODS = ("from_db_value", "get_db_converters")


def codec_for(field: AnyField) -> Codec | None:
    """None where the field's values stay at home: they may be decrypted ones."""
    serializer = serializers.for_type(type(field))
    if serializer is not None:
        return codecs.registered(field, serializer)
    if isinstance(field, models.GeneratedField):
        return codec_for(_named_like(cast("AnyField", field.output_field), field))
    base = _django_base(field)
    if _loads_by_instance(field) or any(_replaces(field, base, method) for method in _VALUE_METHODS):
        return _custom(field, base)
    if isinstance(field, models.ForeignKey):
        target = codec_for(cast("Any", field).target_field)
        return None if target is None else codecs.related(field, target)
    make = _maker(base)
    return codecs.custom(field) if make is None else make(field)


def _custom(field: AnyField, base: type[AnyField]) -> Codec | None:
    # What a field decrypts stays at home; but a key has to travel, or nothing could be said of the row.
    decrypts = "from_db_value" in vars(field) or any(
        _replaces(field, base, name) for name in _LOADING_METHODS
    )
    return None if decrypts and not field.primary_key else codecs.custom(field)


def _named_like(output_field: AnyField, field: AnyField) -> AnyField:
    # The field inside a GeneratedField belongs to no model, so it has no name, which its methods may ask for.
    named = output_field.clone()
    named.set_attributes_from_name(field.name)
    return named


def _maker(base: type[AnyField]) -> MakeCodec | None:
    makers = _postgres() if base.__module__.startswith("django.contrib.postgres.") else BUILT_IN
    return next((makers[cls] for cls in base.__mro__ if cls in makers), None)


def _django_base(field: AnyField) -> type[AnyField]:
    """The nearest of Django's own classes: the field holds what that one holds, unless it says otherwise."""
    return next(cls for cls in type(field).__mro__ if cls.__module__.startswith("django."))


def _loads_by_instance(field: AnyField) -> bool:
    own = vars(field).get("from_db_value")
    # Django's ArrayField gives itself one that is no more than its items'.
    return own is not None and not own.__module__.startswith("django.")


def _replaces(field: AnyField, base: type[AnyField], method: str) -> bool:
    return getattr(type(field), method, None) is not getattr(base, method, None)


def _postgres() -> dict[type[AnyField], MakeCodec]:
    # Imported for a model that has such a field, so its driver is installed.
    from events.serializers import postgres  # noqa: PLC0415

    return {**BUILT_IN, **postgres.CODECS}
