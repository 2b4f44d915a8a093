from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from library.models import Recommendation
from tests.workers.people import add_book, add_reader

pytestmark = pytest.mark.django_db


def test_recommend__computes_for_every_reader_and_says_how_many():
    dune, ubik = add_book("Dune"), add_book("Ubik")
    add_reader("one", dune, ubik)
    reader = add_reader("two", dune)
    add_reader("who reads nothing")

    call_command("recommend", stdout=(out := StringIO()))

    assert out.getvalue() == "Recommendations computed for 2 readers.\n"
    assert Recommendation.objects.get().user == reader


def test_first__leaves_alone_what_is_there_already():
    dune, ubik = add_book("Dune"), add_book("Ubik")
    add_reader("one", dune, ubik)
    add_reader("two", dune)
    for expected in ("Recommendations computed for 2 readers.\n", ""):
        call_command("recommend", "--first", stdout=(out := StringIO()))
        assert out.getvalue() == expected
