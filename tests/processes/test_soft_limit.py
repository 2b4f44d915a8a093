"""The soft time limit strikes a delivery that still waits for the database: nothing is locked, no try is used up."""

from __future__ import annotations

import pytest
from django.db import transaction

from events import transport
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, EventRecord, State
from tests.processes.conftest import Start, WorkerProcess, wait_for
from tests.shop.models import Effect
from tests.shop.poisons import LIMIT, poison

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(200)]


def send(kind: str) -> tuple[Message, Delivery]:
    """The message, not yet published; and a record like the one that its claim will insert."""
    with fast_path.suspended():
        poison.send(how="none", who=kind)
    event = EventRecord.objects.get()
    receiver = f"tests.shop.poisons.{kind}"
    message = Message(
        receiver=receiver,
        queue="default",
        using="default",
        ids=(str(event.pk),),
        envelopes=(event.envelope,),
        attempts=(0,),
    )
    return message, Delivery(event=event, receiver=receiver, queue="default", state=State.WAITING)


def hold_up(worker: WorkerProcess, message: Message, rival: Delivery) -> None:
    """The claim waits for a rival's transaction until its time is over; then that is rolled back."""
    with transaction.atomic():
        rival.save(force_insert=True)
        transport.publish([message])
        seen = f"Soft time limit ({LIMIT}"
        wait_for(lambda: seen in worker.log.read_text(), "the soft time limit", log=worker.log)
        transaction.set_rollback(True)


def test_atomic__has_not_begun_and_runs_when_it_comes_again(start_worker: Start) -> None:
    worker = start_worker(EVENTS_RELAY="off")
    message, rival = send("take_in_transaction")
    hold_up(worker, message, rival)
    wait_for(lambda: "NotBegun" in worker.log.read_text(), "the end of the message", log=worker.log)
    assert not Delivery.objects.exists()
    assert not Effect.objects.exists()
    transport.publish([message])
    rows = Delivery.objects.filter(state=State.DONE, tries=0)
    wait_for(rows.exists, "the delivery, done without a failure", log=worker.log)
    assert Effect.objects.filter(receiver="take_in_transaction").count() == 1


def test_not_atomic__is_given_back_for_the_relay_to_send(start_worker: Start) -> None:
    worker = start_worker(EVENTS_RELAY="off")
    message, rival = send("take_outside")
    hold_up(worker, message, rival)
    rows = Delivery.objects.filter(receiver__endswith="take_outside", state=State.WAITING, tries=0)
    wait_for(rows.exists, "the delivery to wait again", log=worker.log)
    assert not Effect.objects.exists()
