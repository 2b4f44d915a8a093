"""What isn't ours, on our queue: recorded and refused, and the worker lives on."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from events import transport
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, Refusal, State
from project.celery import app
from project.dev.broker import Broker
from tests.processes.conftest import Start, wait_for
from tests.processes.wire import refused
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def assert_alive() -> None:
    item = Item.objects.create(title="still here")
    delivered = Delivery.objects.filter(event__subject=f"shop.item/{item.pk}", state=State.DONE)
    wait_for(lambda: delivered.count() == 2, "a worker that lives on")


NO_MESSAGES = [
    b"not json",
    b"[]",
    b"{}",
    b"null",
    b'"text"',
    b"\xff\xfe",
    json.dumps({"body": "x", "headers": {}}).encode(),
]


def test_bytes_that_are_no_message__are_refused(start_worker: Start, broker: Broker) -> None:
    worker = start_worker()
    for count, raw in enumerate(NO_MESSAGES, start=1):
        broker.client().lpush("default", raw)
        wait_for(lambda count=count: refused() == count, f"the refusal of {raw!r}")
    assert_alive()
    assert worker.process.poll() is None


# No body at all; none that was compressed; one that was cut off.
UNREADABLE = [None, "bm90IGNvbXByZXNzZWQ=", base64.b64encode(zlib.compress(b"[[], {}, {}]")[:-3]).decode()]


def test_body_that_cannot_be_decompressed__is_refused(start_worker: Start, broker: Broker) -> None:
    worker = start_worker()
    for count, body in enumerate(UNREADABLE, start=1):
        message = {
            "body": body,
            "headers": {"task": "tests.shop.receivers.record_save", "id": "x", "compression": "zlib"},
            "properties": {
                "delivery_tag": f"{count}",
                "delivery_info": {"exchange": "", "routing_key": "default"},
                "body_encoding": "base64",
            },
            "content-type": "application/json",
            "content-encoding": "utf-8",
        }
        broker.client().lpush("default", json.dumps(message))
        wait_for(lambda count=count: refused() == count, f"the refusal of {body!r}")
    assert_alive()
    assert worker.process.poll() is None


def test_task_of_another_app__is_refused(start_worker: Start) -> None:
    start_worker()
    app.send_task("somebody.elses", queue="default")
    wait_for(Refusal.objects.filter(receiver="somebody.elses").exists, "a refusal")
    assert_alive()


def test_delay__without_a_signed_header__is_refused(start_worker: Start) -> None:
    start_worker()
    app.tasks["tests.shop.receivers.record_save"].apply_async(("{}",), queue="default")
    wait_for(Refusal.objects.filter(reason__contains="not a message of the bus").exists, "a refusal")
    assert_alive()


def test_event_not_in_the_outbox__is_refused(start_worker: Start) -> None:
    start_worker()
    with fast_path.suspended():
        Item.objects.create(title="short-lived")
    message = Message(
        receiver="tests.shop.receivers.record_save",
        queue="default",
        using="default",
        ids=("01890a5d-ac96-774b-bcce-b302099a8057",),
        envelopes=("{}",),
        attempts=(0,),
    )
    transport.publish([message])
    wait_for(Refusal.objects.filter(reason__contains="not in the outbox").exists, "a refusal")
    assert_alive()
