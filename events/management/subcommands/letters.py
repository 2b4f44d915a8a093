"""What `retry` and `discard` share: which dead letters, how many, how fast."""

from __future__ import annotations

import argparse
import time
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.management.console import Console, plural
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_operator,
    aliases,
    assert_receiver,
    operator,
    positive,
)
from events.models import Action
from events.operations.jobs import NothingChosen, What, start, stop
from events.operations.redelivering import choose, dead_letters, discard, redeliver
from events.relay.jobs import Chosen, work

# Seconds between two looks at a job.
_EVERY = 0.25


class Letters(Subcommand):
    what: ClassVar[What]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "ids", nargs="*", metavar="ID", help="of a delivery, or of an event for all of its dead"
        )
        parser.add_argument("--receiver", metavar="NAME", help="the dead letters of this receiver")
        parser.add_argument("--group", metavar="GROUP", help="those of this kind: `events failed` shows them")
        parser.add_argument("--all", action="store_true", help="every dead letter")
        parser.add_argument("--limit", type=positive, help="at most so many, the oldest first")
        parser.add_argument("--rate", type=rate, metavar="N", help="at most N a second")
        parser.add_argument(
            "--background", action="store_true", help="leave it to the relays, and don't wait for them"
        )
        add_database(parser)
        add_operator(parser)

    def run(
        self, console: Console, *, ids: list[str], database: str | None, limit: int | None, **options: Any
    ) -> None:
        receiver, group = options["receiver"], options["group"]
        if bool(ids) + bool(receiver or group) + options["all"] != 1:
            raise CommandError(
                "Say which: ids, or --receiver NAME, or --all, or --group GROUP. `manage.py events failed` "
                "lists them."
            )
        using = aliases(database)
        assert_receiver(receiver, using)
        refused: dict[str, str] = {}
        if ids:
            chosen, refused = _named(using, ids)
        else:
            fitting = Chosen(receiver=receiver or "", fingerprint=group)
            chosen = dict.fromkeys(using, fitting)
        done = self._work(console, chosen, limit, options)
        for name, why in refused.items():
            console.warn(f"{name} {why}.")
        if done is not None:
            console.line(f"{plural(done, 'delivery')} {self.what}.")
        if refused:
            raise CommandError(f"{len(refused)} of {len(ids)} ids named no dead letter.")
        console.next("manage.py events tail" if done else "manage.py events failed")

    def _work(
        self, console: Console, chosen: dict[str, Chosen], limit: int | None, options: dict[str, Any]
    ) -> int | None:
        """How many; None where relays do it."""
        if options["rate"] or options.get("first") or options["background"]:
            jobs = self._jobs(chosen, limit, options)
            return None if options["background"] else _follow(console, jobs, operator(options["who"]))
        return self._at_once(console, chosen, limit, options)

    def _jobs(
        self, chosen: dict[str, Chosen], limit: int | None, options: dict[str, Any]
    ) -> list[tuple[str, Action]]:
        jobs, left = [], limit
        for alias, some in chosen.items():
            if left == 0:
                break
            try:
                job = start(
                    alias,
                    some,
                    self.what,
                    by=operator(options["who"]),
                    why=options["why"],
                    rate=options["rate"],
                    first_alone=options.get("first", False),
                    limit=left,
                )
            except NothingChosen:
                # They may be in another.
                continue
            jobs.append((alias, job))
            left = None if left is None else left - (job.total or 0)
        if not jobs:
            raise NothingChosen("No dead letter fits that.")
        return jobs

    def _at_once(
        self, console: Console, chosen: dict[str, Chosen], limit: int | None, options: dict[str, Any]
    ) -> int:
        by, why, done, left = operator(options["who"]), options["why"], 0, limit
        operate = discard if self.what == "discarded" else redeliver
        for alias, some in chosen.items():
            keys = dead_letters(alias, some, limit=left)
            left = None if left is None else left - len(keys)
            for number in operate(alias, keys, by=by, why=why):
                done += number
                console.progress(f"{done:,} {self.what}")
        console.end_progress()
        return done


def rate(text: str) -> float:
    """For argparse."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return found


def _named(using: tuple[str, ...], ids: list[str]) -> tuple[dict[str, Chosen], dict[str, str]]:
    """By alias; and the names that are none anywhere, with why."""
    if len(using) > 1 and any(name.isdigit() for name in ids):
        raise CommandError(
            f"Ids of deliveries differ between databases: add --database, one of {', '.join(using)}."
        )
    found = {alias: choose(alias, ids) for alias in using}
    everywhere = set.intersection(*(set(chosen.refused) for chosen in found.values()))
    refused = {name: found[using[0]].refused[name] for name in ids if name in everywhere}
    return {alias: Chosen(keys=chosen.keys) for alias, chosen in found.items()}, refused


def _follow(console: Console, jobs: list[tuple[str, Action]], by: str) -> int:
    """Until all have ended, with the relays or, where none runs, without them; Ctrl-C stops them."""
    try:
        while running := [(alias, job) for alias, job in jobs if job.state == Action.State.RUNNING]:
            worked = [work(alias) for alias, _ in running]
            for alias, job in running:
                job.refresh_from_db(using=alias)
            done, total = sum(job.count for _, job in jobs), sum(job.total or 0 for _, job in jobs)
            console.progress(f"{done:,} of {total:,}")
            if not any(worked):
                time.sleep(_EVERY)
    except KeyboardInterrupt:
        for alias, job in jobs:
            stop(alias, job.pk, by=by)
        raise
    console.end_progress()
    for _, job in jobs:
        if job.state == Action.State.STOPPED:
            console.warn(f"Stopped: {job.outcome}")
    return sum(job.count for _, job in jobs)
