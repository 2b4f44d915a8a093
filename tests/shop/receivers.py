"""Offloaded receivers for the tests: each leaves a row per effect, and misbehaves on demand."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from django.db import IntegrityError, connection
from django.db.models.signals import m2m_changed, post_delete, post_save

from events import Backoff, Event, offload
from tests.shop.models import Effect, Essay, Item, Unique
from tests.shop.signals import bought, plain, returned, told

QUICK = Backoff(first=0.1, factor=1, tries=3)
misbehave = Event("shop.misbehave", how=str, tag=str)
slow = Event("shop.slow", seconds=float)
slower = Event("shop.slower", seconds=float)


def leave(receiver: str, event: Any, note: str = "") -> None:
    Effect.objects.create(receiver=receiver, key=event.idempotency_key, note=note)


@offload(post_save, sender=Item, queue="default", track=("title",))
def record_save(sender: Any, instance: Item, created: bool, event: Any, **kwargs: Any) -> None:
    leave("record_save", event, f"{created} {instance.title}")


@offload(post_save, sender=Item, queue="audit", atomic=False)
def mail_save(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    leave("mail_save", event, instance.title)


@offload(post_delete, sender=Item, queue="default")
def record_delete(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    leave("record_delete", event, f"{instance.pk}")


@offload(m2m_changed, sender=Item.tags.through, queue="default")
def record_tags(sender: Any, instance: Any, action: str, pk_set: Any, event: Any, **kwargs: Any) -> None:
    leave("record_tags", event, f"{action} {sorted(pk_set or ())}")


@offload([bought, returned], queue="default")
def record_trade(sender: Any, item: Item, event: Any, **kwargs: Any) -> None:
    leave("record_trade", event, event.type)


@offload(plain, queue="default")
def record_plain(sender: Any, event: Any, **kwargs: Any) -> None:
    leave("record_plain", event, repr(sorted(k for k in kwargs if k != "signal")))


@offload(told, queue="default")
def measure_text(sender: Any, text: str, event: Any, **kwargs: Any) -> None:
    leave("measure_text", event, f"{len(text)}")


@offload(post_save, sender=Essay, queue="default", batch=1000)
def measure_essay(sender: Any, instance: Essay, event: Any, **kwargs: Any) -> None:
    leave("measure_essay", event, f"{len(instance.text)}")


@offload(post_save, sender=Essay, queue="default", atomic=False)
def mail_essay(sender: Any, instance: Essay, event: Any, **kwargs: Any) -> None:
    leave("mail_essay", event, f"{len(instance.text)}")


@offload(bought, queue="audit", many=True, batch=10)
def count_trades(occurrences: Any) -> None:
    for occurrence in occurrences:
        leave("count_trades", occurrence.event, f"{len(occurrences)}")


@offload(misbehave, queue="default", retry=QUICK)
def misbehave_in_transaction(sender: Any, how: str, tag: str, event: Any, **kwargs: Any) -> None:
    leave("misbehave_in_transaction", event, tag)
    _misbehave(how)


@offload(misbehave, queue="default", retry=QUICK, atomic=False)
def misbehave_outside(sender: Any, how: str, tag: str, event: Any, **kwargs: Any) -> None:
    leave("misbehave_outside", event, tag)
    _misbehave(how)


@offload(misbehave, queue="default")
def behave(sender: Any, tag: str, event: Any, **kwargs: Any) -> None:
    leave("behave", event, tag)


ONCE = Backoff(tries=1)


@offload(slow, queue="default", time_limit=8, retry=ONCE)
def sleep_in_transaction(sender: Any, seconds: float, event: Any, **kwargs: Any) -> None:
    time.sleep(seconds)
    leave("sleep_in_transaction", event)


@offload(slow, queue="audit", time_limit=8, retry=ONCE, atomic=False)
def sleep_outside(sender: Any, seconds: float, event: Any, **kwargs: Any) -> None:
    time.sleep(seconds)
    leave("sleep_outside", event)


@offload(slower, queue="audit", atomic=False)
def sleep_alone(sender: Any, seconds: float, event: Any, **kwargs: Any) -> None:
    time.sleep(seconds)
    leave("sleep_alone", event)


def _misbehave(how: str) -> None:
    if how == "raise":
        raise ValueError("as asked")
    if how == "swallow":
        _swallow()
    elif how == "close":
        connection.close()
    elif how == "roll back":
        # Behind Django's back: the claim goes with it.
        connection.connection.rollback()
    elif how == "exit":
        os._exit(1)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "hang":
        time.sleep(3600)


def _swallow() -> None:
    try:
        Unique.objects.create(name="taken")
        Unique.objects.create(name="taken")
    except IntegrityError:
        # What no receiver should do: the transaction is broken, and nobody is told.
        pass
