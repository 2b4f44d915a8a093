"""A message that is not, to the letter, one that a holder of our key published is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from events.exceptions import Refused
from events.message import MOST_EVENTS, Message, inlined, named
from events.signing import sign, verify

Header = dict[str, Any]
EVENTS = ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"]
ENVELOPES = ['{"id": "1", "data": {"ä": 1}}', ""]


def message(**given: Any) -> Message:
    return Message(
        **{
            "receiver": "shop.receive",
            "queue": "default",
            "using": "default",
            "ids": tuple(EVENTS),
            "envelopes": tuple(ENVELOPES),
            "attempts": (0, 3),
            **given,
        }
    )


def over_the_wire(sent: Message) -> tuple[Header, list[str]]:
    header, envelopes = json.loads(json.dumps([sent.header(), sent.envelopes]))
    return header, envelopes


def received(header: Any, envelopes: Any, sent: Message, **aimed: str) -> Message:
    given = {"task": sent.receiver, "id": sent.id, **aimed}
    return Message.received(header, envelopes, **given)


def refusal(header: Any, envelopes: Any, sent: Message, **aimed: str) -> str:
    with pytest.raises(Refused) as caught:
        received(header, envelopes, sent, **aimed)
    return str(caught.value)


UNFIT = "the signature does not fit: altered, forged, or signed with a key that is gone"


@pytest.mark.parametrize("careful", [True, False])
def test_received__is_what_was_sent(careful: bool) -> None:
    sent = message(careful=careful)
    header, envelopes = over_the_wire(sent)
    assert received(header, envelopes, sent) == sent


def test_received__of_no_events_is_what_was_sent() -> None:
    sent = message(ids=(), envelopes=(), attempts=())
    assert received(*over_the_wire(sent), sent) == sent


def change(name: str, value: Any) -> Callable[[Header], None]:
    return lambda parts: parts.__setitem__(name, value)


def change_envelope(index: int, text: str) -> Callable[[Header], None]:
    return lambda parts: parts["envelopes"].__setitem__(index, text)


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(change_envelope(0, ENVELOPES[0].replace("1", "2")), id="an envelope"),
        pytest.param(change_envelope(0, ENVELOPES[0] + " "), id="a space after an envelope"),
        pytest.param(change_envelope(0, ""), id="an envelope left out"),
        pytest.param(change_envelope(1, ENVELOPES[0]), id="an envelope put in"),
        pytest.param(lambda parts: parts["envelopes"].reverse(), id="envelopes changed places"),
        pytest.param(lambda parts: parts["ids"].reverse(), id="ids changed places"),
        pytest.param(change("ids", [str(uuid4()), EVENTS[1]]), id="another id"),
        pytest.param(change("ids", [EVENTS[0] + EVENTS[1], ""]), id="ids joined"),
        pytest.param(change("attempts", [1, 3]), id="other attempts"),
        pytest.param(change("attempts", [0, 0]), id="a first attempt"),
        pytest.param(change("careful", True), id="careful"),
        pytest.param(change("using", "other"), id="another database"),
        pytest.param(change("queue", "nobody's"), id="another queue"),
        pytest.param(change("signature", "0" * 64), id="another signature"),
        pytest.param(change("signature", ""), id="no signature"),
    ],
)
def test_refused__altered(alter: Callable[[Header], Any]) -> None:
    sent = message()
    header, envelopes = over_the_wire(sent)
    parts = {**header, "envelopes": envelopes}
    untouched = copy.deepcopy(parts)
    alter(parts)
    assert parts != untouched
    assert refusal(parts, parts["envelopes"], sent) == UNFIT


def test_refused__aimed_at_another_receiver() -> None:
    sent = message()
    assert refusal(*over_the_wire(sent), sent, task="shop.pay") == (
        "it is signed for 'shop.receive' and was aimed at 'shop.pay'"
    )


def test_refused__aimed_at_another_receiver_that_the_header_names() -> None:
    sent = message()
    header, envelopes = over_the_wire(sent)
    header["receiver"] = "shop.pay"
    assert refusal(header, envelopes, sent, task="shop.pay") == UNFIT


def test_refused__under_another_id() -> None:
    # A copy under an id of its own would be a message that nobody published.
    sent = message()
    assert refusal(*over_the_wire(sent), sent, id=str(uuid4())) == UNFIT


def test_refused__signature_of_another_message() -> None:
    sent, other = message(), message()
    header, envelopes = over_the_wire(sent)
    header["signature"] = other.header()["signature"]
    assert refusal(header, envelopes, sent) == UNFIT


@pytest.mark.parametrize("part", ["receiver", "queue", "using", "ids", "attempts", "careful", "signature"])
def test_refused__header_lacks_a_part(part: str) -> None:
    sent = message()
    header, envelopes = over_the_wire(sent)
    del header[part]
    assert refusal(header, envelopes, sent) == f"not a message of the bus: KeyError({part!r})"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        # Each of these is signed like the value that was sent.
        ("careful", "False"),
        ("attempts", ["0", "3"]),
        ("attempts", [False, 3]),
        ("attempts", ["0,3"]),
        # And these could be signed by nobody.
        ("receiver", None),
        ("ids", EVENTS[0]),
        ("ids", [1, 2]),
        ("ids", {"0": EVENTS[0]}),
        ("using", ["default"]),
        ("queue", None),
        ("signature", 5),
        ("signature", None),
        ("signature", "ünlesbar"),
    ],
)
def test_refused__part_of_another_type(part: str, value: Any) -> None:
    sent = message()
    header, envelopes = over_the_wire(sent)
    header[part] = value
    assert refusal(header, envelopes, sent).startswith("not a message of the bus: ")


@pytest.mark.parametrize("header", [{}, [], "events", None, 5])
def test_refused__header_that_is_none(header: Any) -> None:
    assert refusal(header, [], message()).startswith("not a message of the bus: ")


@pytest.mark.parametrize("envelope", [None, 5, {"id": "1"}, "\ud800"])
def test_refused__envelope_that_is_no_text(envelope: Any) -> None:
    sent = message()
    header, _ = over_the_wire(sent)
    assert refusal(header, [envelope, ""], sent).startswith("not a message of the bus: ")


@pytest.mark.parametrize(
    ("ids", "envelopes", "attempts"),
    [(EVENTS, ENVELOPES[:1], (0, 3)), (EVENTS[:1], ENVELOPES, (0, 3)), (EVENTS, ENVELOPES, (0,))],
)
def test_refused__parts_differ_in_number(ids: Any, envelopes: Any, attempts: Any) -> None:
    # Even well signed: whose envelope is whose nobody could tell.
    sent = message(ids=tuple(ids), envelopes=tuple(envelopes), attempts=attempts)
    assert refusal(*over_the_wire(sent), sent) == "ids, envelopes and attempts differ in number"


def test_refused__more_events_than_any_message_carries() -> None:
    sent = message(
        ids=EVENTS[:1] * (MOST_EVENTS + 1),
        envelopes=("",) * (MOST_EVENTS + 1),
        attempts=(0,) * (MOST_EVENTS + 1),
    )
    assert refusal(*over_the_wire(sent), sent).startswith(f"it names {MOST_EVENTS + 1} events")
    # Nor does a worker say that it holds them, before anybody has verified it.
    assert named(sent.receiver, list(sent.ids)) == []
    assert len(named(sent.receiver, list(sent.ids)[1:])) == MOST_EVENTS


def test_refused__event_passed_off_as_an_envelope() -> None:
    # The same texts in the same order, cut elsewhere.
    sent = message()
    header, envelopes = over_the_wire(sent)
    header["ids"], envelopes[:0] = header["ids"][:1], header["ids"][1:]
    assert refusal(header, envelopes, sent) == "ids, envelopes and attempts differ in number"


def test_rotation__messages_of_the_former_key_are_taken(settings: Settings) -> None:
    settings.SECRET_KEY = "the former key"
    sent = message()
    header, envelopes = over_the_wire(sent)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new key", ["the former key"]
    assert received(header, envelopes, sent) == sent
    # Signed anew it is the new key's: the former one will do only for what is on its way.
    assert sent.header()["signature"] != header["signature"]
    settings.SECRET_KEY_FALLBACKS = []
    assert refusal(header, envelopes, sent) == UNFIT
    assert received(*over_the_wire(sent), sent) == sent


def test_rotation__key_may_be_bytes(settings: Settings) -> None:
    settings.SECRET_KEY = b"a key of bytes"
    sent = message()
    assert received(*over_the_wire(sent), sent) == sent


@pytest.mark.parametrize(
    ("signed", "offered"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", ""), ("a",)),
        (("1:a",), ("1", "a")),
        (("a", "b"), ("b", "a")),
        (("ä",), ("a\u0308",)),
    ],
)
def test_sign__no_two_lists_of_parts_sign_alike(signed: tuple[str, ...], offered: tuple[str, ...]) -> None:
    assert verify(sign(*signed), *signed)
    assert not verify(sign(*signed), *offered)


def test_sign__is_not_what_another_use_of_the_key_makes() -> None:
    from django.core.signing import Signer

    assert not verify(Signer(sep=":").signature("a"), "a")


def test_inlined__large_envelope_stays_in_the_outbox(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "MAX_INLINE_BYTES": 10}
    assert inlined(["x" * 10, "x" * 11]) == ("x" * 10, "")
    # Of bytes, as the setting says: a picture of books has four.
    assert inlined(["\N{BOOKS}\N{BOOKS}xx", "\N{BOOKS}\N{BOOKS}xxx"]) == ("\N{BOOKS}\N{BOOKS}xx", "")


def test_inlined__all_together_are_bounded_however_many_there_are(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "MAX_INLINE_BYTES": 10}
    carried = inlined(["x" * 9] * 1000)
    assert "".join(carried) == "x" * 9 * 4
    assert len(carried) == 1000
    # A smaller one may have room still.
    assert inlined(["x" * 9] * 5 + ["x"])[-2:] == ("", "x")
