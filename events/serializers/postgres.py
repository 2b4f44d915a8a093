"""Codecs of `django.contrib.postgres`: imported only where a model has such a field."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.postgres.fields import ArrayField, HStoreField, RangeField
from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.db.backends.postgresql.psycopg_any import Range

from events.exceptions import NotSerializable
from events.serializers import codecs, scalars
from events.serializers.codecs import AnyField, Codec, MakeCodec
from events.serializers.json_type import Json
from events.serializers.sensitive import holds_sensitive_key


def array(field: AnyField) -> Codec | None:
    """None where the items stay at home."""
    # Imported here: that module looks this one up.
    from events.serializers.fields import codec_for  # noqa: PLC0415

    item = codec_for(cast("Any", field).base_field)
    if item is None:
        return None

    def normalise(value: Any) -> list[Any] | None:
        value = field.to_python(value)
        return None if value is None else [_item(item, one) for one in value]

    def encode(value: list[Any]) -> list[Json]:
        return [None if one is None else item.encode(one) for one in value]

    def decode(value: list[Json]) -> list[Any]:
        return [None if one is None else item.decode(one) for one in value]

    return Codec(type=object, encode=encode, decode=decode, normalise=normalise)


def _item(codec: Codec, value: Any) -> Any:
    return None if value is None else value if type(value) is codec.type else codec.normalise(value)


def hstore(field: AnyField) -> Codec:
    def encode(value: dict[str, str | None]) -> Json:
        if holds_sensitive_key(value):
            raise NotSerializable("it holds a key that looks like a secret's name")
        for each in (*value, *value.values()):
            scalars.dump_text(each or "")
        return dict(value)

    def normalise(value: Any) -> Any:
        return field.get_prep_value(field.to_python(value))

    return Codec(type=object, encode=encode, decode=dict, normalise=normalise)


def interval(field: AnyField) -> Codec:
    """A range: its bounds as the range's base field has them."""
    from events.serializers.fields import codec_for  # noqa: PLC0415  # as above

    ranges = cast("Any", field)
    bound = cast("Codec", codec_for(ranges.base_field))

    def encode(value: Any) -> Json:
        if value.isempty:
            return {"empty": True}
        ends = (_item(bound, end) for end in (value.lower, value.upper))
        lower, upper = (None if end is None else bound.encode(end) for end in ends)
        return {"lower": lower, "upper": upper, "bounds": value._bounds}

    def decode(form: dict[str, Any]) -> Any:
        if form.get("empty"):
            return ranges.range_type(empty=True)
        lower, upper = (None if form[end] is None else bound.decode(form[end]) for end in ("lower", "upper"))
        return ranges.range_type(lower, upper, form["bounds"])

    def normalise(value: Any) -> Any:
        # A list or tuple gets the field's own default bounds when it is saved.
        made = ranges.get_prep_value(ranges.to_python(value) if isinstance(value, str) else value)
        if made is None or isinstance(made, Range):
            return made
        raise TypeError(f"{type(value).__name__} is no range")

    return Codec(type=object, encode=encode, decode=decode, normalise=normalise)


CODECS: dict[type[AnyField], MakeCodec] = {
    ArrayField: array,
    HStoreField: hstore,
    RangeField: interval,
    SearchVectorField: codecs.text,
    SearchQueryField: codecs.text,
}
