"""What is logged while a receiver runs says of which event it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from events import Backoff, Event
from events.logs import EventContext, JsonLines
from events.models import EventRecord
from events.testing import drain
from tests.events.conftest import Offloaded

pytestmark = pytest.mark.django_db(transaction=True)

logger = logging.getLogger("tests.logs")
said = Event("tests.said", text=str)


def speak(sender: Any, text: str, **kwargs: Any) -> None:
    logger.warning("said %s", text)


def speak_of_many(occurrences: list[Any]) -> None:
    logger.warning("said %d", len(occurrences))


def stumble(sender: Any, **kwargs: Any) -> None:
    raise ValueError("stumbled")


@pytest.fixture
def lines() -> Iterator[StringIO]:
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(EventContext())
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield out
    logging.getLogger().removeHandler(handler)


def found(lines: StringIO, message: str) -> dict[str, Any]:
    all_ = [json.loads(line) for line in lines.getvalue().splitlines()]
    [line] = [line for line in all_ if line["message"].startswith(message)]
    return line


def test_receiver__its_lines_name_event_receiver_and_correlation(
    offloaded: Offloaded, lines: StringIO
) -> None:
    offloaded(speak, said)
    said.send(sender=None, text="a <word> «ü»")
    drain()
    event = EventRecord.objects.get()
    line = found(lines, "said")
    assert line["message"] == "said a <word> «ü»"
    assert line["event_id"] == str(event.pk)
    assert line["correlation_id"] == str(event.correlation_id)
    assert line["receiver"] == f"{__name__}.speak"
    assert line["level"] == "WARNING"
    assert line["logger"] == "tests.logs"


def test_batch__its_lines_name_the_receiver(offloaded: Offloaded, lines: StringIO) -> None:
    offloaded(speak_of_many, said, many=True)
    with transaction.atomic():
        said.send(sender=None, text="a")
        said.send(sender=None, text="b")
    drain()
    line = found(lines, "said")
    assert line["receiver"] == f"{__name__}.speak_of_many"
    assert "event_id" not in line


def test_failed_try__the_buss_own_line_names_them_too(offloaded: Offloaded, lines: StringIO) -> None:
    offloaded(stumble, said, retry=Backoff(tries=1))
    said.send(sender=None, text="a")
    drain()
    event = EventRecord.objects.get()
    line = found(lines, "events.delivery state=dead")
    assert (line["event_id"], line["correlation_id"]) == (str(event.pk), str(event.correlation_id))
    assert line["receiver"] == f"{__name__}.stumble"


def test_elsewhere__nothing_is_said_of_them(lines: StringIO) -> None:
    logger.warning("outside")
    assert not {"event_id", "receiver", "correlation_id"} & found(lines, "outside").keys()


def test_exception__its_traceback_is_in_the_line(lines: StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("caught")
    line = found(lines, "caught")
    assert "ValueError: broken" in line["exception"]


def test_project__its_handlers_have_the_fields() -> None:
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["events"]
    assert settings.LOGGING["formatters"]["json"] == {"()": "events.logs.JsonLines"}
