"""What a run is asked for: the command line, and the environment under `make`."""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from project.dev.broker import ON_PATH

BROKERS = (*ON_PATH, "embedded")
DATABASES = ("sqlite", "postgresql")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

EPILOG = """\
Each option has a variable of the same name, for `make chaos`: CHAOS_MINUTES, CHAOS_SEED, CHAOS_EVENTS, CHAOS_DATABASE,
CHAOS_BROKER, CHAOS_FAULTS, CHAOS_TOGETHER, CHAOS_LAPS, CHAOS_PACE, CHAOS_EMPTY_BROKER;
DATABASE_URL and BROKER_URL are --database-url and --broker-url.
Exit code: 0 all well, 1 something was lost, doubled, late or unexpected, 2 the run could not be made.
See docs/chaos.md."""


class Unusable(Exception):
    """The run can't be made as asked. The message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    minutes: float
    # The run goes on until so many events were committed, whatever the minutes.
    events: int
    # Of one round; then the load goes on slowly.
    round_events: int
    seed: str
    database: str
    database_url: str
    broker: str
    broker_url: str
    faults: tuple[str, ...]
    # Faults that share a round; 0: as the minutes say.
    together: int
    # The run goes on until each fault has struck so often, whatever the minutes.
    laps: int
    webs: int
    workers: int
    # Seconds between two transactions of a web process.
    pace: float
    empty_broker: bool
    keep: bool


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Raises `Unusable` for what no run may touch; argparse exits for what it can't read."""
    given = _parser(environ).parse_args(arguments)
    options = Options(
        minutes=given.minutes,
        events=given.events,
        round_events=given.round_events or (3000 if given.events else 300),
        seed=given.seed or str(random.SystemRandom().randrange(10_000)),
        database=given.database,
        database_url=given.database_url,
        broker=given.broker,
        broker_url=given.broker_url,
        faults=tuple(name for name in given.faults.split(",") if name),
        together=given.together,
        laps=given.laps,
        webs=given.webs,
        workers=given.workers,
        pace=given.pace,
        empty_broker=given.empty_broker,
        keep=given.keep,
    )
    _assert_known(options)
    _assert_local(options)
    return options


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Commits transactions, breaks things meanwhile, and compares what came of it with a ledger.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, default=environ.get("CHAOS_MINUTES") or 5, help="about so long (5)")
    add(
        "--events", type=int, default=environ.get("CHAOS_EVENTS") or 0, help="and until so many are committed"
    )
    add("--round-events", type=int, default=0, help="of a round, about (300; with --events 3000)")
    add("--seed", default=environ.get("CHAOS_SEED", ""), help="decides what happens when (a random one)")
    add("--database", choices=DATABASES, default=environ.get("CHAOS_DATABASE") or "sqlite", help="(sqlite)")
    add("--database-url", default=environ.get("DATABASE_URL", ""), help="a PostgreSQL on this machine")
    add(
        "--broker",
        choices=("", *BROKERS),
        default=environ.get("CHAOS_BROKER", ""),
        help="(the first there is)",
    )
    add(
        "--broker-url",
        default=environ.get("BROKER_URL", ""),
        help="a Redis on this machine, which is emptied",
    )
    add(
        "--faults",
        default=environ.get("CHAOS_FAULTS", ""),
        help="only these: names, with commas; `list` lists",
    )
    add(
        "--together",
        type=int,
        default=environ.get("CHAOS_TOGETHER") or 0,
        help="faults that share a round, and so the wait for recovery (by the minutes: 1 to 3)",
    )
    add(
        "--laps",
        type=int,
        default=environ.get("CHAOS_LAPS") or 0,
        help="and until each fault has struck so often",
    )
    add("--webs", type=int, default=2, help="web processes (2)")
    add("--workers", type=int, default=2, help="workers of two processes each (2)")
    add("--pace", type=float, default=environ.get("CHAOS_PACE") or 0.05, help="seconds between transactions")
    add(
        "--empty-broker",
        action="store_true",
        default=environ.get("CHAOS_EMPTY_BROKER") == "yes",
        help="the broker at --broker-url may be emptied though it holds data",
    )
    add("--keep", action="store_true", help="keep logs and data of a run that went well, too")
    return parser


def _assert_known(options: Options) -> None:
    """argparse looks at the arguments alone, not at what comes from a variable."""
    if options.database not in DATABASES:
        raise Unusable(f"CHAOS_DATABASE={options.database}: choose {' or '.join(DATABASES)}.")
    if options.broker not in {"", *BROKERS}:
        raise Unusable(f"CHAOS_BROKER={options.broker}: choose one of {', '.join(BROKERS)}.")


def _assert_local(options: Options) -> None:
    for name, url in (("DATABASE_URL", options.database_url), ("BROKER_URL", options.broker_url)):
        host = urlsplit(url).hostname
        if url and host not in _LOOPBACK:
            raise Unusable(f"{name} names {host or 'no host'}: chaos breaks things on this machine alone.")
    scheme = urlsplit(options.database_url).scheme
    if scheme and not scheme.startswith("postgres"):
        raise Unusable(f"DATABASE_URL={scheme}://…: only PostgreSQL is made for a run. Unset it for SQLite.")
    if options.broker_url and urlsplit(options.broker_url).scheme != "redis":
        raise Unusable("BROKER_URL has to be redis://…: the faults speak its language.")
    if min(options.webs, options.workers) < 1 or options.minutes <= 0:
        raise Unusable("At least one web process, one worker, and some time are needed.")
    if min(options.together, options.laps) < 0:
        raise Unusable("Faults in a round, and laps, are counted from 1; 0 leaves it to the minutes.")
