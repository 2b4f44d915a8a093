"""What the tests of admin, commands and operations share: an event, a receiver that fails until it is mended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from django.core.management import call_command

from events import Backoff, Event, transport
from events.models import Delivery, State
from events.testing import drain
from project.celery import app
from tests.brokers import NOWHERE
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Unique

strained = Event("tests.strained", note=str)
# The first try and one more, at once.
TWICE = Backoff(first=0, factor=1, tries=2)
# Before a command: what a shell starts in the background ignores Ctrl-C, and passes that on.
_HEAR = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
HEARING_CTRL_C = [sys.executable, "-c", _HEAR]
FRAGILE = "tests.events.operating.fragile"


def fragile(sender: Any, note: str, event: Any, **kwargs: Any) -> None:
    """Fails until somebody mends it."""
    if not Unique.objects.filter(name="mended").exists():
        raise ValueError(f"not mended: {note}")
    Effect.objects.create(receiver="fragile", key=event.idempotency_key, note=note)


def mend() -> None:
    Unique.objects.create(name="mended")


def break_again() -> None:
    Unique.objects.all().delete()


def offload_fragile(offloaded: Offloaded) -> None:
    offloaded(fragile, strained, retry=TWICE)


def bury(*notes: str) -> list[Delivery]:
    """Dead letters of `fragile`, one for each note, in their order."""
    known = set(Delivery.objects.values_list("pk", flat=True))
    for note in notes or ("a note",):
        strained.send(note=note)
        drain()
    rows = list(Delivery.objects.exclude(pk__in=known).order_by("event_id"))
    assert {row.state for row in rows} == {State.DEAD}
    return rows


@contextmanager
def broker_away(url: str = NOWHERE) -> Iterator[None]:
    """Whatever broker other tests have started: within it, the address refuses, or is one of the test's own."""
    before = app.conf.broker_url
    _talk_to(url)
    try:
        yield
    finally:
        _talk_to(before)


def _talk_to(url: str) -> None:
    app.conf.broker_url = url
    transport.reset()


def run(*arguments: object) -> str:
    """What `manage.py events …` prints; raises `CommandError`."""
    out = StringIO()
    call_command("events", *map(str, arguments), stdout=out, stderr=StringIO(), no_color=True)
    return out.getvalue()
