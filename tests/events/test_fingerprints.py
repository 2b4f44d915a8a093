"""Which failures are of one kind."""

from __future__ import annotations

from uuid import uuid4

import pytest

from events.delivery.failing import describe
from events.delivery.fingerprints import fingerprint, normalised


def error_of(function: object, *args: object) -> str:
    try:
        function(*args)  # type: ignore[operator]
    except (TypeError, ValueError) as error:
        return describe(error)
    raise AssertionError


def refuse(text: str) -> None:
    raise ValueError(text)


def refuse_elsewhere(text: str) -> None:
    raise ValueError(text)


ALIKE = [
    ("no user 42", "no user 4711"),
    ("took 1.5 s", "took 10,000 s"),
    (f"event {uuid4()}", f"event {uuid4().hex}"),
    (f"<object at {id(1):#x}>", f"<object at {id('x'):#x}>"),
    ("ann@example.org refused", "bob.b+c@mail.example.com refused"),
    ("digest 0f3a5b7c9d1e2f40", "digest abcdef0123456789"),
    ("no route to 10.0.0.1:25", "no route to 192.168.7.250:587"),
]


@pytest.mark.parametrize(("one", "another"), ALIKE, ids=[one.split()[0] for one, _ in ALIKE])
def test_fingerprint__what_differs_each_time__makes_no_kind(one: str, another: str) -> None:
    first, second = error_of(refuse, one), error_of(refuse, another)
    assert fingerprint(first) == fingerprint(second), (normalised(first), normalised(second))


def test_fingerprint__another_line_of_the_same_file__is_the_same_kind() -> None:
    error = error_of(refuse, "x")
    assert fingerprint(error) == fingerprint(error.replace(", line ", ", line 1"))


@pytest.mark.parametrize(
    "another",
    [error_of(refuse, "another text"), error_of(refuse_elsewhere, "a text"), error_of(int, "a text")],
)
def test_fingerprint__another_text_place_or_exception__is_another_kind(another: str) -> None:
    assert fingerprint(error_of(refuse, "a text")) != fingerprint(another)


def test_fingerprint__a_word_of_letters_stays() -> None:
    assert normalised("KeyError: 'deadbeefs' of acceded") == "KeyError: 'deadbeefs' of acceded"


@pytest.mark.parametrize("text", ["", "\x00", "\udcff", "x" * 100_000, "1" * 50_000, "a@" * 20_000])
def test_fingerprint__any_text(text: str) -> None:
    assert len(fingerprint(text)) == (16 if text else 0)
