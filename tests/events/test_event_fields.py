"""Declared events: which fields they take, which values, which names."""

from __future__ import annotations

import enum
import subprocess
import sys
import uuid
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Protocol, TypedDict, TypeVar, Union

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.utils.functional import SimpleLazyObject

from events import Event, InvalidEvent, event
from events.testing import captured_events
from tests.events.conftest import Offloaded
from tests.shop.models import Item, Tag

if TYPE_CHECKING:
    from decimal import Context

T = TypeVar("T")
anything = Event()


def receive(sender: Any, **kwargs: Any) -> None: ...


@event("shop.annotated")
def annotated(*, item: Item, why: str = "", at: date | None = None) -> None:
    """Annotations are texts in this module: they are read when the event is first sent."""


@event("shop.unfindable")
def unfindable(*, context: Context) -> None: ...


class Colour(enum.Enum):
    RED = "red"


class Fields(TypedDict):
    a: int


class Talks(Protocol):
    def talk(self) -> None: ...


class Robot:
    pass


LAZY_USER = SimpleLazyObject(lambda: User(pk=1))
LAZY_ANONYMOUS = SimpleLazyObject(AnonymousUser)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, ""),
        (int, 0),
        (float, 3),
        (float, 0.5),
        (bool, False),
        (bytes, b""),
        (object, None),
        (Any, 5),
        (None, None),
        (Optional[str], None),  # noqa: UP045 -- the old spelling is to work too
        (Optional[str], "x"),  # noqa: UP045 -- the same
        (str | None, None),
        (Union[int, str], "x"),  # noqa: UP007 -- the same
        (int | str | None, None),
        (list[int], [1]),
        (dict[str, Any], {}),
        (tuple[int, ...], (1,)),
        (set[int] | None, {1}),
        (Literal["a", "b"], "b"),
        (Literal["a"] | None, None),
        (Annotated[int, "seconds"], 5),
        (Fields, {"a": 1}),
        (Talks, Robot()),
        (Decimal, Decimal("1.5")),
        (uuid.UUID, uuid.UUID(int=5)),
        (date, date(2026, 1, 1)),
        (Colour, Colour.RED),
        (T, "anything at all"),
        (models.Model, Tag(pk=1)),
        (User, User(pk=1)),
        (User, LAZY_USER),
        (User | None, LAZY_USER),
        (User | AnonymousUser, LAZY_ANONYMOUS),
        ("shop.Item", Item(pk=1)),
        (settings.AUTH_USER_MODEL, LAZY_USER),
    ],
)
def test_field__takes(hint: Any, value: Any) -> None:
    assert Event("shop.typed", value=hint).send(value=value) == []


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (str, None, "'value' must be str, got NoneType None."),
        (str, b"", "'value' must be str, got bytes b''."),
        (int, "5", "'value' must be int, got str '5'."),
        (int, 5.0, "'value' must be int, got float 5.0."),
        (int, True, "'value' must be int, got bool True."),
        (float, False, "'value' must be float, got bool False."),
        (float, Decimal(1), "'value' must be float, got Decimal Decimal('1')."),
        (None, 0, "'value' must be None, got int 0."),
        (Optional[str], 5, "'value' must be typing.Optional[str], got int 5."),  # noqa: UP045 -- the same
        (str | None, 5, "'value' must be str | None, got int 5."),
        (int | str, 0.5, "'value' must be int | str, got float 0.5."),
        (list[int], (1,), "'value' must be list[int], got tuple (1,)."),
        (dict[str, int], [], "'value' must be dict[str, int], got list []."),
        (Literal["a", "b"], "c", "'value' must be typing.Literal['a', 'b'], got str 'c'."),
        (datetime, date(2026, 1, 1), "'value' must be datetime, got date datetime.date(2026, 1, 1)."),
        (Colour, "red", "'value' must be Colour, got str 'red'."),
        (Item, Tag, "'value' must be Item, got ModelBase <class 'tests.shop.models.Tag'>."),
        (Item, 5, "'value' must be Item, got int 5."),
        ("shop.Item", 5, "'value' must be Item, got int 5."),
        (User, LAZY_ANONYMOUS, "'value' must be User, got SimpleLazyObject "),
    ],
)
def test_field__refuses(hint: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event("shop.typed", value=hint).send(value=value)
    assert str(caught.value).startswith(f"<Event shop.typed>: {message}")


def test_field__long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event("shop.typed", value=int).send(value="x" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("hint", ["shop.Itme", "Item", "a.b.c"])
def test_field__text_that_names_no_model(hint: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event("shop.typed", value=hint).send(value=1)
    assert str(caught.value) == (
        f"<Event shop.typed>: the type of 'value', '{hint}', is no model. "
        f"Give a class, or a model as 'app.Model'."
    )


@pytest.mark.django_db
def test_field__lazy_user_of_a_request_travels_as_a_reference(offloaded: Offloaded) -> None:
    bought = Event("shop.bought_by", user=User)
    offloaded(receive, bought)
    user = User.objects.create_user("reader")
    with captured_events() as captured:
        bought.send(sender=Item, user=SimpleLazyObject(lambda: User.objects.get(pk=user.pk)))
    captured.assert_emitted(bought, user=user)
    assert captured[0].subject == f"auth.user/{user.pk}"


@pytest.mark.django_db
def test_field__lazy_value_travels_as_the_value(offloaded: Offloaded) -> None:
    offloaded(receive, anything)
    with captured_events() as captured:
        anything.send(sender=None, note=SimpleLazyObject(lambda: "late"))
    assert captured[0].arguments == {"note": "late"}


# Declarations


def test_annotated__fields_and_those_that_may_be_left_out() -> None:
    assert annotated.fields == {"item": Item, "why": str, "at": date | None}
    assert annotated.optional == {"why", "at"}
    assert annotated.__doc__ is not None
    assert annotated.__doc__.startswith("Annotations are texts")
    assert annotated.send(item=Item()) == []
    assert annotated.send(item=Item(), at=None) == []


@pytest.mark.parametrize(
    "given", [{}, {"item": 5}, {"item": Item(), "why": None}, {"item": Item(), "who": 1}]
)
def test_annotated__is_checked_like_any_other(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=r"<Event shop\.annotated>"):
        annotated.send(**given)


def test_annotated__type_that_only_a_type_checker_imports() -> None:
    with pytest.raises(InvalidEvent) as caught:
        unfindable.send(context=None)  # type: ignore[arg-type]  # any value will do
    assert str(caught.value) == (
        "<Event shop.unfindable>: the annotation 'Context' is not found in tests.events.test_event_fields. "
        "Import it there at run time too, not under TYPE_CHECKING alone."
    )


def test_annotated__parameters_by_position_are_refused() -> None:
    with pytest.raises(InvalidEvent) as caught:

        @event("shop.by_position")
        def by_position(item: Item) -> None: ...

    assert str(caught.value).endswith(
        "by_position: fields are given by name. Put * first: def by_position(*, …)."
    )


@pytest.mark.parametrize("field", ["sender", "signal", "using", "event"])
def test_declared__reserved_name(field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event("shop.reserved", fields={field: str})
    assert str(caught.value) == (
        f"<Event shop.reserved>: {field!r} is an argument of every signal; name the field otherwise."
    )


@pytest.mark.parametrize("field", ["password", "api_token", "secret", "session", "sessionKey"])
@pytest.mark.parametrize("name", ["shop.secretive", None])
def test_declared__name_of_a_secret(field: str, name: str | None) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event(name, fields={field: str})
    assert f"{field!r} is named like a secret, and secrets don't travel. " in str(caught.value)
    assert "Send a reference to the row that holds it, or name the field otherwise." in str(caught.value)


def test_declared__name_of_a_secret_in_a_function() -> None:
    with pytest.raises(InvalidEvent, match="'password' is named like a secret"):

        @event("shop.secretive")
        def secretive(*, password: str) -> None: ...


@pytest.mark.parametrize("name", ["", "a name with spaces", "x" * 201, 5])
def test_declared__name_that_is_none(name: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event(name)
    assert str(caught.value) == (
        f"Event({name!r}): a name is a text of 1 to 200 characters without spaces, like 'app.what_happened'."
    )


def test_declared__name_like_one_of_djangos() -> None:
    with pytest.raises(InvalidEvent, match=r"names that begin with 'django\.' are those of Django's signals"):
        Event("django.core.signals.request_started")


def test_declared__version_that_is_none() -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event("shop.early", version=0)
    assert str(caught.value) == "Event('shop.early'): version=0: versions are counted from 1."


@pytest.mark.parametrize("option", ["version", "use_caching"])
def test_declared__field_that_is_named_like_an_option(option: str) -> None:
    with pytest.raises(
        InvalidEvent, match=rf"A field of that name is declared by fields=\{{'{option}': …\}}"
    ):
        Event("shop.options", **{option: str})  # type: ignore[arg-type]  # the mistake
    declared = Event("shop.options", fields={option: str})
    assert declared.send(**{option: "x"}) == []
    assert declared.version == 1


def test_declared__without_fields_takes_none() -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event("shop.bare").send(sender=None, item=1)
    assert str(caught.value) == "<Event shop.bare> has no field 'item'; it has none."


def test_undeclared__takes_anything() -> None:
    assert Event().send(sender=None, item=1, password="x") == []
    assert Event("shop.bare").send(sender=None) == []


def test_repr__names_the_event() -> None:
    assert repr(Event("shop.shown")) == "<Event shop.shown>"
    assert repr(Event()).startswith("<Event 0x")


# Types, as a type checker sees them


SNIPPET = """
from __future__ import annotations

from django.contrib.auth.models import User

from events import Event, event
from tests.shop.models import Item


@event("shop.read")
def item_read(*, user: User, item: Item, note: str = "") -> None: ...


def good(user: User, item: Item) -> None:
    item_read.send(sender=Item, user=user, item=item)
    item_read.send_robust(sender=Item, using="default", user=user, item=item, note="x")
    item_read.send(user=user, item=item)


async def good_async(user: User, item: Item) -> None:
    await item_read.asend(sender=Item, user=user, item=item)
    await item_read.asend_robust(sender=Item, user=user, item=item)


def plain() -> None:
    Event().send(sender=None, anything=1)
    Event("shop.plain", item=Item).send(sender=None, item=1)


def bad(user: User, item: Item) -> None:
    item_read.send(sender=Item, user=user, itme=item)
    item_read.send(sender=Item, user=user)
    item_read.send(sender=Item, user=5, item=item)
    item_read.send_robust(sender=Item, user=user, item=item, note=1)


async def bad_async(user: User, item: Item) -> None:
    await item_read.asend(sender=Item, user=user, item=user)
"""


@pytest.mark.timeout(300)
def test_event__is_typed_for_type_checkers(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--hide-error-context",
            str(snippet),
        ],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    wrong = SNIPPET[: SNIPPET.index("def bad(")].count("\n")
    found = [
        line.split(":", 2) for line in done.stdout.splitlines() if ": error:" in line and "snippet.py" in line
    ]
    assert all(int(number) > wrong for _, number, _ in found), done.stdout
    codes = [text.rpartition("[")[2] for _, _, text in found]
    assert codes == ["call-arg]"] * (len(codes) - 3) + ["arg-type]"] * 3, done.stdout
    assert len({number for _, number, _ in found}) == 5, done.stdout
