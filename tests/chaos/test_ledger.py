"""The comparison that every claim of a chaos run rests on: it finds what is wrong, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import ledger
from tests.chaos.expected import EXPECTED
from tests.chaos.models import Effect, Truth

pytestmark = pytest.mark.django_db

ROUND = 3


@pytest.fixture(autouse=True)
def _expectations() -> None:
    ledger.expect()


def committed(mark: str, kind: str = "saved", *, leaving_out: str = "") -> None:
    Truth.objects.create(mark=mark, kind=kind, round=ROUND)
    for receiver in EXPECTED[kind]:
        if receiver != leaving_out:
            effect(mark, receiver)


def effect(mark: str, receiver: str, key: str = "") -> None:
    Effect.objects.create(mark=mark, round=ROUND, receiver=receiver, key=key or f"{mark}/{receiver}")


def found() -> dict[str, int]:
    return {trouble.what: trouble.number for trouble in ledger.of_round(ROUND)}


def test_ledger__all_there_once() -> None:
    for kind in EXPECTED:
        committed(f"3-0.1-{kind}", kind)
    assert found() == {}
    assert ledger.expected_in(ROUND) == sum(map(len, EXPECTED.values()))


def test_ledger__an_effect_that_is_missing_is_lost() -> None:
    committed("3-0.1-1", leaving_out="mail_save")
    committed("3-0.1-2")
    assert found() == {ledger.LOST_EFFECTS: 1}


def test_ledger__a_second_effect_of_an_atomic_receiver_is_doubled() -> None:
    committed("3-0.1-1")
    effect("3-0.1-1", "note_save")
    assert found() == {ledger.DOUBLED_EFFECTS: 1}


def test_ledger__a_second_effect_of_another_receiver_is_allowed_under_the_same_key() -> None:
    committed("3-0.1-1")
    effect("3-0.1-1", "mail_save")
    assert found() == {}
    effect("3-0.1-1", "mail_save", key="another")
    assert found() == {ledger.DOUBLED_EFFECTS: 1}


def test_ledger__an_effect_of_what_was_not_committed() -> None:
    effect("3-0.1-1", "note_save")
    assert found() == {ledger.GHOST_EFFECTS: 1}


def test_ledger__an_effect_of_a_receiver_that_has_no_part_in_it() -> None:
    committed("3-0.1-1", "deleted")
    effect("3-0.1-1", "note_save")
    assert found() == {ledger.GHOST_EFFECTS: 1}


def test_ledger__one_key_for_two_events() -> None:
    committed("3-0.1-1", leaving_out="note_save")
    committed("3-0.1-2", leaving_out="note_save")
    effect("3-0.1-1", "note_save", key="same")
    effect("3-0.1-2", "note_save", key="same")
    troubles = {trouble.what for trouble in ledger.of_all(pruned=2)}
    assert troubles == {"idempotency keys of two events"}


def test_ledger__what_was_rolled_back_has_neither_row_nor_effect(tmp_path: Path) -> None:
    committed("3-0.1-1")
    file = tmp_path / "rolled-back-0.1.txt"
    file.write_text("3-0.1-2\n")
    assert ledger.load_rolled_back([file]) == 1
    # No bus ran here: the one event has no row in the outbox.
    assert ledger.of_all(pruned=1) == []
    file.write_text("3-0.1-1\n3-0.1-2\n")
    ledger.load_rolled_back([file])
    (trouble,) = ledger.of_all(pruned=1)
    # Three effects and the truth.
    assert (trouble.what, trouble.number) == ("rolled back, with an effect or a row", 4)


def test_ledger__an_event_that_was_never_stored() -> None:
    committed("3-0.1-1")
    (trouble,) = ledger.of_all()
    assert trouble.first == ((0, 1),)
