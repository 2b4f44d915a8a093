"""What a person puts right, on real workers: redelivered, replayed, paused, resumed."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from pytest_django import Settings

from events import pauses
from events.models import Action, Delivery, State
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect, Item
from tests.shop.receivers import misbehave

pytestmark = pytest.mark.django_db(transaction=True)

RAISES = "tests.shop.receivers.misbehave_outside"


@pytest.fixture(autouse=True)
def one_database(settings: Settings) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    yield
    pauses._known.clear()


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("events", *arguments, stdout=out)
    return out.getvalue()


def effects(receiver: str) -> int:
    return Effect.objects.filter(receiver=receiver).count()


def test_retry__a_dead_letter_uses_all_its_tries_again(start_worker: Start) -> None:
    start_worker()
    misbehave.send(how="raise", tag="x")
    dead = Delivery.objects.filter(receiver=RAISES, state=State.DEAD)
    wait_for(dead.exists, "a dead letter")
    assert effects("misbehave_outside") == 3
    command("retry", "--receiver", RAISES)
    wait_for(lambda: effects("misbehave_outside") == 6, "three more tries")
    wait_for(dead.exists, "a dead letter again")


def test_replay__every_receiver_runs_once_more(start_worker: Start) -> None:
    start_worker()
    Item.objects.create(title="x")
    done = Delivery.objects.filter(state=State.DONE)
    wait_for(lambda: done.count() == 2, "two deliveries")
    # 0 where the emitter published it, 1 where it left it to the relay.
    [first] = set(done.values_list("attempt", flat=True))
    command("replay", "--type", "shop.item.created")
    wait_for(lambda: (effects("record_save"), effects("mail_save")) == (2, 2), "both a second time")
    wait_for(lambda: done.count() == 2, "two records")
    assert set(done.values_list("attempt", flat=True)) == {first + 1}


@pytest.mark.parametrize("name", ["default", "tests.shop.receivers.record_save"])
def test_pause__holds_it_and_nothing_else__until_it_is_resumed(start_worker: Start, name: str) -> None:
    start_worker()
    command("pause", name)
    Item.objects.create(title="x")
    wait_for(lambda: effects("mail_save") == 1, "what isn't paused")
    wait_for(Delivery.objects.filter(queue="default", state=State.WAITING).exists, "a record that it waits")
    assert effects("record_save") == 0
    command("resume", name)
    wait_for(lambda: effects("record_save") == 1, "what was paused")


def test_job__goes_on_when_the_worker_that_began_it_is_killed(start_worker: Start) -> None:
    worker = start_worker()
    for number in range(6):
        misbehave.send(how="raise", tag=f"{number}")
    dead = Delivery.objects.filter(receiver=RAISES, state=State.DEAD)
    wait_for(lambda: dead.count() == 6, "dead letters", log=worker.log)
    Effect.objects.all().delete()
    # One, and the next in a quarter of an hour.
    command("retry", "--receiver", RAISES, "--background", "--rate", "0.001")
    job = Action.objects.get()
    wait_for(lambda: Action.objects.filter(pk=job.pk, count=1).exists(), "it has begun", log=worker.log)
    worker.kill()
    Action.objects.filter(pk=job.pk).update(rate=None, next_at=Now())
    other = start_worker()
    wait_for(lambda: Action.objects.filter(pk=job.pk, state="done").exists(), "it is done", log=other.log)
    assert Action.objects.get().count == 6
    # Three tries each; one that the kill interrupted may have had a fourth.
    wait_for(lambda: effects("misbehave_outside") >= 18, "each is tried again", log=other.log)
    wait_for(lambda: dead.count() == 6, "each has died again", log=other.log)
