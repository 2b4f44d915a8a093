from __future__ import annotations

import datetime as dt
import enum
import json
import zoneinfo
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils.functional import lazystr
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

import events
from events.exceptions import NotSerializable
from events.serializers import InvalidSerializer, dump_value, load_value, serializers
from tests.events.serializers.captured import round_trip, same
from tests.zoo.fields import ColourField
from tests.zoo.models import Diet, Size, Specimen, TameParrot
from tests.zoo.things import Cage, Coin, Money, Mood, Skill

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
UUID_4 = UUID("a3bb189e-8bf9-4c4e-ae16-0cf4eb0a3e1c")

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**64),
    10**5000,
    0.1,
    2.0,
    -0.0,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    'Ünïcödé 🐦 \x00 "quoted"',
    "lone \ud800 surrogate",
    [],
    [1, [2.0, ["3"]]],
    (),
    (1, (2, [3])),
    set(),
    {1, "1", (1, 2)},
    frozenset({frozenset({1})}),
    {},
    {"a": {"b": [1, (2,)]}},
    {"$": "uuid", "v": "a plain dict"},
    {1: "int", None: "none", (1, 2): "tuple", UUID_4: "uuid", True and "t": "text"},
    {"\ud800": "surrogate"},
    b"",
    b"\x00\xff",
    UUID_4,
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("1E+400"),
    Decimal("Infinity"),
    dt.date(2024, 2, 29),
    dt.time(23, 59, 59, 999999),
    dt.time(12, tzinfo=dt.UTC),
    dt.time(12, tzinfo=BERLIN),
    dt.datetime.max,  # noqa: DTZ901  # naive ones travel too
    dt.datetime(2024, 2, 29, 12, 0, 0, 1),  # noqa: DTZ001  # the same
    dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
    dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=30))),
    dt.timedelta(0),
    dt.timedelta.max,
    dt.timedelta.min,
    Diet.MEAT,
    Size.LARGE,
    Mood.CALM,
    Mood.WILD,
    Skill.FLIES,
    Skill.FLIES | Skill.SWIMS,
    Cage.State.OPEN,
    Specimen,
    TameParrot,
    Specimen.friends.through,
    mark_safe("<b>"),  # marked here, not taken from anyone
]

# Not by their `repr`: Python refuses that of the largest.
NAMES = [type(value).__name__ for value in VALUES]


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_value__comes_back_equal_and_of_its_type(value: Any) -> None:
    assert same(round_trip(value), value)
    assert same(load_value(json.loads(json.dumps(dump_value(value, path="x")))), value)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_value__comes_back_from_inside_others(value: Any) -> None:
    for outer in ([value], (value,), {"a": value}, {1: value}):
        assert same(round_trip(outer), outer)


@pytest.mark.parametrize("fold", [0, 1])
def test_value__a_zone_comes_back_with_its_rules(fold: int) -> None:
    twice = dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold)
    back = round_trip(twice)
    assert (back.isoformat(), back.tzinfo, back.fold) == (twice.isoformat(), BERLIN, fold)
    assert round_trip(dt.time(2, 30, fold=fold)).fold == fold


def test_value__lazy_texts_become_texts() -> None:
    assert same(round_trip([gettext_lazy("Yes"), lazystr("no")]), ["Yes", "no"])


def test_value__safe_text_stays_safe() -> None:
    assert type(round_trip(SafeString("<b>"))) is SafeString


class Text(str):
    __slots__ = ()


class Local(enum.Enum):
    ONE = 1


Local.__qualname__ = "not_there.Local"

circular: list[Any] = []
circular.append(circular)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            object(),
            r"argument 'user' of type object can't travel.*events\.register_serializer\(object, name=",
        ),
        ({"prefs": [1, 2, 3, object()]}, r"argument 'user\.prefs\[3\]' of type object "),
        ({"a b": {1: (object(),)}}, r"argument \"user\['a b'\]\[1\]\[0\]\" of type object "),
        ({object(): 1}, r"argument 'user key' of type object "),
        ({1, Money(Decimal(1), "EUR")}, r"argument 'user\[\d\]' of type tests\.zoo\.things\.Money "),
        (len, "argument 'user' of type builtin_function_or_method "),
        (Text("x"), r"argument 'user' of type .*Text "),
        (OrderedDict(a=1), "argument 'user' of type collections.OrderedDict "),
        (1j, "argument 'user' of type complex "),
        (bytearray(b"x"), "argument 'user' of type bytearray "),
        (int, "argument 'user' of type type .*only concrete models can"),
        (Local.ONE, "argument 'user' of type .*define that Enum at the top of a module"),
        (circular, "argument 'user' is nested too deeply, or contains itself"),
        (Specimen(), r"argument 'user': this zoo\.Specimen has no primary key"),
    ],
)
def test_value__that_cannot_travel_is_named_by_its_path(value: Any, message: str) -> None:
    with pytest.raises(NotSerializable, match=message) as raised:
        dump_value(value, path="user")
    assert isinstance(raised.value, TypeError)


def test_value__refuses_a_queryset_rather_than_run_it() -> None:
    with pytest.raises(NotSerializable, match="QuerySet"):
        dump_value(Specimen.objects.all(), path="rows")


def test_enum__path_of_anything_else_is_not_followed() -> None:
    for path in ("os:system", "tests.zoo.things:Money", "no.such.module:X", "tests.zoo.models:Diet.choices"):
        with pytest.raises(LookupError, match="no Enum class"):
            load_value({"$": "enum", "type": path, "v": "x"})


def test_value__of_a_type_this_process_does_not_know_says_what_is_missing() -> None:
    with pytest.raises(
        NotSerializable, match=r"register_serializer\(…, name='cash', …\) must run on the workers"
    ):
        load_value({"$": "cash", "v": 1})


def test_dict__loses_what_is_named_like_a_secret() -> None:
    sent = {"name": "ann", "password": "p", "prefs": [{"apiKey": "k", "key": "k", 1: "n", "session_id": "s"}]}
    sent[mark_safe("secret")] = "s"  # a text all the same
    assert round_trip(sent) == {"name": "ann", "prefs": [{"key": "k", 1: "n"}]}


@pytest.fixture
def _money_is_registered() -> Iterator[None]:
    events.register_serializer(
        Money,
        name="money",
        dump=lambda m: [str(m.amount), m.currency],
        load=lambda v: Money(Decimal(v[0]), v[1]),
    )
    yield
    serializers.remove(Money)


@pytest.mark.usefixtures("_money_is_registered")
def test_registered__type_round_trips() -> None:
    assert same(
        round_trip({"price": [Money(Decimal("1.10"), "EUR")]}), {"price": [Money(Decimal("1.10"), "EUR")]}
    )


@pytest.mark.usefixtures("_money_is_registered")
def test_registered__serves_subclasses_without_one_of_their_own() -> None:
    assert same(round_trip(Coin(Decimal(1), "EUR")), Money(Decimal(1), "EUR"))


@pytest.mark.usefixtures("_money_is_registered")
@pytest.mark.parametrize(
    ("type_", "name", "message"),
    [
        (Money, "cash", r"tests\.zoo\.things\.Money is registered as 'money' already"),
        (Coin, "money", r"tests\.zoo\.things\.Money is registered as 'money' already"),
        (UUID, "id", "type UUID is one the bus serializes by itself"),
        (Coin, "uuid", "name 'uuid' is one the bus serializes by itself"),
        (ColourField, "money", "is registered as 'money' already"),
        ("tests.zoo.things.Coin", "coin", "give it the class itself, not its name"),
    ],
)
def test_registering__what_cannot_be_or_is_there_already_is_refused(
    type_: Any, name: str, message: str
) -> None:
    with pytest.raises(InvalidSerializer, match=message):
        events.register_serializer(type_, name=name, dump=str, load=str)
    assert serializers.for_name("money") is serializers.for_type(Money)
