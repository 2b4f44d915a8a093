"""Receivers that end their process, take all its memory, hang, or wait for a test: of every kind of receiver."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from events import Backoff, Event, offload
from tests.shop.receivers import leave

TRIES = 2
FEW = Backoff(first=0.1, factor=1, tries=TRIES)
# Seconds for one event.
LIMIT = 2
# `who`: the one receiver it is for; "" for all of them.
poison = Event("shop.poison", how=str, who=str)
# To wait in `gate`, a directory: for "open" to be there; "begun" says so.
wait = Event("shop.wait", gate=str, kind=str)
last_poison = Event("shop.last_poison", how=str)


def _is(kind: str) -> Callable[..., bool]:
    def is_it(sender: Any, **kwargs: Any) -> bool:
        return kwargs.get("kind", kwargs.get("who")) in {kind, ""}

    return is_it


KIND = {"queue": "default", "retry": FEW, "time_limit": LIMIT}


@offload(poison, when=_is("take_in_transaction"), **KIND)
def take_in_transaction(sender: Any, how: str, event: Any, **kwargs: Any) -> None:
    leave("take_in_transaction", event, how)
    _take(how)


@offload(poison, when=_is("take_outside"), atomic=False, **KIND)
def take_outside(sender: Any, how: str, event: Any, **kwargs: Any) -> None:
    leave("take_outside", event, how)
    _take(how)


@offload(poison, when=_is("take_many"), many=True, batch=10, **KIND)
def take_many(occurrences: Any) -> None:
    for occurrence in occurrences:
        leave("take_many", occurrence.event, occurrence.arguments["how"])
        _take(occurrence.arguments["how"])


@offload(poison, queue="default", retry=FEW)
def stand_by(sender: Any, how: str, event: Any, **kwargs: Any) -> None:
    leave("stand_by", event, how)


@offload(last_poison, queue="default", retry=Backoff(tries=1))
def take_at_last(sender: Any, how: str, event: Any, **kwargs: Any) -> None:
    _take(how)


PATIENT = {"queue": "default", "retry": FEW}


@offload(wait, when=_is("wait_in_transaction"), **PATIENT)
def wait_in_transaction(sender: Any, gate: str, event: Any, **kwargs: Any) -> None:
    _wait(gate)
    leave("wait_in_transaction", event)


@offload(wait, when=_is("wait_outside"), atomic=False, **PATIENT)
def wait_outside(sender: Any, gate: str, event: Any, **kwargs: Any) -> None:
    _wait(gate)
    leave("wait_outside", event)


@offload(wait, when=_is("wait_many"), many=True, **PATIENT)
def wait_many(occurrences: Any) -> None:
    _wait(occurrences[0].arguments["gate"])
    for occurrence in occurrences:
        leave("wait_many", occurrence.event)


@offload(wait, when=_is("die_once_and_wait"), **PATIENT)
def die_once_and_wait(sender: Any, gate: str, event: Any, **kwargs: Any) -> None:
    died = Path(gate, "died")
    if not died.exists():
        died.touch()
        os._exit(1)
    _wait(gate)
    leave("die_once_and_wait", event)


def _wait(gate: str) -> None:
    Path(gate, "begun").touch()
    while not Path(gate, "open").exists():
        time.sleep(0.05)


def _take(how: str) -> None:
    POISONS.get(how, lambda: None)()


def _crash() -> None:
    ctypes.string_at(0)


def _hoard(hoard: list[object] | None = None) -> None:
    """Until there is no memory for one object more. By halves: large ones take addresses alone, and no time."""
    hoard = [] if hoard is None else hoard
    size = 64 * 1024 * 1024
    while True:
        try:
            hoard.append(bytearray(size))
        except MemoryError:
            if size < 1000:
                raise
            size //= 2


_kept: list[object] = []


def _hoard_for_ever() -> None:
    """And none is given back when it fails."""
    _hoard(_kept)


def _grow() -> None:
    """Until the kernel ends it, where a group of processes may have so much and no more."""
    hoard = []
    while True:
        hoard.append(b"x" * 1_000_000)


def _hang() -> None:
    time.sleep(3600)


def _hang_deaf() -> None:
    """As in a library's C code that lets no signal through."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    time.sleep(3600)


def _hang_stubbornly() -> None:
    while True:
        with suppress(Exception):
            time.sleep(3600)


POISONS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(1),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crash": _crash,
    "hoard": _hoard,
    "hoard for ever": _hoard_for_ever,
    "grow": _grow,
    "hang": _hang,
    "hang deaf": _hang_deaf,
    "hang stubbornly": _hang_stubbornly,
}
