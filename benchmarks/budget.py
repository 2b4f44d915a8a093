"""What a broker that fails costs a request: the milliseconds of a transaction with one save and its commit.

For each kind of server and each fault, on a database and a broker of its own:

  cold     the first save of a process that starts while the fault is there
  healthy  saves of the same process with a healthy broker, right before the fault
  first    the dearest of the saves from the fault's beginning until the process leaves its events to the relay
  then     saves while it does

One client asks, one request after the other; two receivers are offloaded. What else the machine does shows in every
figure, so compare within a line. DATABASE_URL chooses another database than SQLite.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.place import wait_for
from project.dev.broker import Broker, start_broker
from tests.faults.proxy import Proxy

# What the guarantee allows: milliseconds more than with a healthy broker.
FIRST, THEN = 250.0, 2.0
# Seconds to wait for a process to start, or to notice.
NOTICED_WITHIN = 30.0

KINDS = ("gunicorn sync", "gunicorn gthread", "uvicorn")

Strike = Callable[[Proxy, Broker], None]
Start = Callable[[str], Any]


def spare(proxy: Proxy, broker: Broker) -> None:
    pass


def hang(proxy: Proxy, broker: Broker) -> None:
    proxy.hang()


def refuse(proxy: Proxy, broker: Broker) -> None:
    proxy.refuse()


def slow(proxy: Proxy, broker: Broker) -> None:
    proxy.delay = 0.5


def drip(proxy: Proxy, broker: Broker) -> None:
    proxy.drip = 0.15


def full(proxy: Proxy, broker: Broker) -> None:
    broker.client().config_set("maxmemory", "1")


def read_only(proxy: Proxy, broker: Broker) -> None:
    broker.client().config_set("min-replicas-to-write", "1")


FAULTS: dict[str, Strike] = {
    "none": spare,
    "hung": hang,
    "refused": refuse,
    "0.5 s an answer": slow,
    "0.15 s a byte": drip,
    "full": full,
    "read-only": read_only,
}


def heal(proxy: Proxy, broker: Broker) -> None:
    proxy.heal()
    broker.client().config_set("maxmemory", "0")
    broker.client().config_set("min-replicas-to-write", "0")
    broker.client().flushall()


@dataclass(slots=True, kw_only=True)
class Row:
    """Milliseconds. Without a fault there is neither a first save after it nor one while it lasts."""

    kind: str
    fault: str
    cold: float = 0.0
    healthy: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    then: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        cells = [self.kind, self.fault, f"{self.cold:.1f}", *_spread(self.healthy)]
        if not self.then:
            return [*cells, "", "", "", "", ""]
        usual = median(self.healthy)
        more = (max(self.first) - usual, median(self.then) - usual)
        return [*cells, f"{max(self.first):.1f}", *_spread(self.then), *(f"{ms:+.1f}" for ms in more)]

    def keeps_the_budget(self) -> bool:
        if not self.then:
            return True
        usual = median(self.healthy)
        return max(self.first) - usual <= FIRST and median(self.then) - usual <= THEN


HEAD = ["server", "fault", "cold", "healthy", "max", "first", "then", "max", "first +", "then +"]


def _spread(times: list[float]) -> list[str]:
    return [f"{median(times):.1f}", f"{max(times):.1f}"]


def measure(start: Start, proxy: Proxy, broker: Broker, row: Row, saves: int) -> None:
    FAULTS[row.fault](proxy, broker)
    site = start(row.kind)
    try:
        row.cold = site.first["ms"]
        heal(proxy, broker)
        wait_for(lambda: _publishes(site, broker), "a healthy broker", NOTICED_WITHIN)
        for _ in range(saves):
            broker.client().flushall()  # a queue that gets long is left to the relay, too
            row.healthy.append(site.save()["ms"])
        if row.fault != "none":
            wait_for(lambda: _publishes(site, broker), "a healthy broker", NOTICED_WITHIN)
            FAULTS[row.fault](proxy, broker)
            wait_for(lambda: _noticed(site, row.first), "events left to the relay", NOTICED_WITHIN, every=0)
            row.then = [site.save()["ms"] for _ in range(saves)]
    finally:
        site.kill()
        heal(proxy, broker)


def _publishes(site: Any, broker: Broker) -> bool:
    site.save()
    return bool(_published() and broker.client().llen("default"))


def _noticed(site: Any, first: list[float]) -> bool:
    first.append(site.save()["ms"])
    return not _published()


def _published() -> list[str]:
    from events.models import EventRecord

    names: list[str] = EventRecord.objects.filter(type="shop.item.created").latest("pk").published
    return names


@contextmanager
def stage() -> Iterator[tuple[Start, Proxy, Broker]]:
    """A database, a broker and a proxy of its own, and `start(kind)`; all are gone at the end."""
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="budget ")))
        broker = ending.enter_context(
            start_broker(directory / "broker", environ={"PATH": os.environ["PATH"]})
        )
        proxy = ending.enter_context(Proxy(int(broker.url.rsplit(":", 1)[1].split("/")[0])))
        url = f"redis://127.0.0.1:{proxy.port}/0"
        os.environ |= {"TEST_BROKER_URL": url, "TEST_OTHER_DATABASE": "off", "PYTHONUNBUFFERED": "1"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        from django.db import connection

        from tests.conftest import database_url
        from tests.processes.serving import Site

        name = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        ending.callback(connection.creation.destroy_test_db, name, verbosity=0)

        def start(kind: str) -> Site:
            env = os.environ | {"DATABASE_URL": database_url(), "LOG_LEVEL": "ERROR"}
            site = Site(env, directory / "site.log", kind)
            try:
                wait_for(site.answers, "a page", NOTICED_WITHIN)
            except BaseException:
                site.kill()
                raise
            return site

        yield start, proxy, broker


def show(rows: list[Row]) -> None:
    table = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD))]
    for line in table:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))
    print(
        "Milliseconds; medians and maxima. first + and then + are against the median with a healthy broker."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.budget",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--saves", type=int, default=40, help="saves for each figure (default: 40)")
    parser.add_argument("--seconds", type=float, default=110.0, help="begin no line later (default: 110)")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    rows = []
    with stage() as (start, proxy, broker):
        # Faults outside: where time runs out, each server has been seen with the same ones.
        for fault in FAULTS:
            for kind in KINDS:
                if time.monotonic() < end:
                    rows.append(Row(kind=kind, fault=fault))
                    measure(start, proxy, broker, rows[-1], options.saves)
    show(rows)
    if missing := len(FAULTS) * len(KINDS) - len(rows):
        print(f"{missing} lines were not begun: allow more with --seconds.")
    kept = all(row.keeps_the_budget() for row in rows)
    load = f"{os.getloadavg()[0]:.1f} of {os.cpu_count()}"
    print(
        f"At most {FIRST:g} ms more at first and {THEN:g} ms then: {'kept' if kept else 'NOT KEPT'}; load {load}."
    )


if __name__ == "__main__":
    main()
