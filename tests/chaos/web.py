"""A web process in little: commits one transaction after the other while it is told to.

Hears `go ROUND`, `slow ROUND`, `pause`, `bulk` on its standard input, and ends where that ends. Says `did MILLISECONDS
EVENTS` after each transaction, `failed ERROR` for one that the database refused, and `paused`.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import django


class Orders:
    """What the harness wants of us, read in a thread of its own."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._heard.put(line.strip())
        # Nobody is there any more.
        os._exit(0)

    def next(self, *, wait: bool) -> str | None:
        try:
            return self._heard.get(block=wait)
        except queue.Empty:
            return None


def say(text: str) -> None:
    print(text, flush=True)


# Seconds between two transactions once the round has enough events: a fault that lasts is no test of throughput.
SLOWLY = 0.8


def work(name: str, seed: str, directory: Path, pace: float) -> None:
    from tests.chaos.transactions import Transactions

    orders = Orders()
    transactions = Transactions(name, Random(f"{seed}/{name}"), directory / f"rolled-back-{name}.txt")
    running = slow = False
    say("paused")
    while True:
        order = orders.next(wait=not running)
        if order is None:
            one(transactions)
            time.sleep(transactions.random.uniform(0.5, 1.5) * (SLOWLY if slow else pace))
        elif order == "pause":
            running = False
            say("paused")
        elif order == "bulk":
            transactions.bulk_wanted = not slow
        else:
            word, number = order.split()
            running, slow, transactions.round = True, word == "slow", int(number)
            transactions.slow = slow


def one(transactions: Any) -> None:
    from django.db import DatabaseError, InterfaceError, connection

    started = time.monotonic()
    try:
        transactions.step()
    except (DatabaseError, InterfaceError) as error:
        # A page with status 500: the user sees it, and whether it was committed only the database knows.
        connection.close()
        say(f"failed {error!r}".replace("\n", " "))
        time.sleep(0.2)
    else:
        say(f"did {1000 * (time.monotonic() - started):.0f} {transactions.emitted()}")


if __name__ == "__main__":
    django.setup()
    work(
        sys.argv[1], os.environ["CHAOS_SEED"], Path(os.environ["CHAOS_DIR"]), float(os.environ["CHAOS_PACE"])
    )
