"""A worker that stopped giving signs of life is buried once."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from events.models import Worker
from events.relay import workers

pytestmark = pytest.mark.django_db


def test_bury_the_dead__the_row_as_a_beat_writes_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the heartbeat does, by the database's own now: SQLite writes that with other digits than Python's times.
    Worker.objects.create(id="dead", beat_at=Now())
    monkeypatch.setattr(workers, "DEAD", -60)
    workers.bury_the_dead("default")
    assert not Worker.objects.exists()


def test_bury_the_dead__who_beats_lives() -> None:
    Worker.objects.create(id="alive", beat_at=Now())
    workers.bury_the_dead("default")
    assert Worker.objects.exists()
