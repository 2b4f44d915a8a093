"""The list is true of the code as it stands; `make prove` runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.proofs.mechanism import ROOT, Mechanism
from tests.proofs.mechanisms import MECHANISMS


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda m: m.name)
def test_mechanism__stands_where_the_proof_switches_it_off(mechanism: Mechanism) -> None:
    for edit in mechanism.edits:
        assert edit.fits(), f"{edit.file} holds this not once: {edit.old}"
    assert (ROOT / mechanism.test_file).is_file()


def test_mechanisms__each_guarantee_has_some() -> None:
    assert {mechanism.guarantee for mechanism in MECHANISMS} == set(range(1, 10))


def test_proof__of_a_mechanism_that_is_needed__says_so() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.proofs", "--only", "the bus's own rows"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "failed, as it should" in result.stdout
    assert "1 of 1 mechanisms" in result.stdout
