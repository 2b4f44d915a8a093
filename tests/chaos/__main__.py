"""`python -m tests.chaos`: see --help, and docs/chaos.md."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from project.dev.broker import BrokerError
from project.dev.postgres import PostgresError
from tests.chaos.broker import ChaosBroker, OwnBroker
from tests.chaos.database import ChaosDatabase, GivenPostgres, PrivatePostgres, Sqlite
from tests.chaos.fleet import Fleet, wait_until
from tests.chaos.load import Load
from tests.chaos.options import Options, Unusable, parse
from tests.chaos.stage import Stage, enlist, patiently
from tests.faults.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
# Minutes below which there is no time for faults that kill one process after the other.
_SHORT = 2.0
# Seconds for the first sign of life of every worker.
_START = 90.0


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options = parse(sys.argv[1:], os.environ)
        return show_faults() if options.faults == ("list",) else run(options)
    except (Unusable, BrokerError, PostgresError) as reason:
        say(f"chaos: {reason}")
        return 2
    except KeyboardInterrupt:
        say("chaos: stopped; every process of the run is ended")
        return 130


def show_faults() -> int:
    from tests.chaos.faults import FAULTS

    for name in sorted(FAULTS):
        say(f"{name:<26} {FAULTS[name].what}")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(options: Options) -> int:
    from tests.chaos.faults import FAULTS

    if unknown := set(options.faults) - set(FAULTS):
        raise Unusable(
            f"No such fault: {', '.join(sorted(unknown))}. There are: {', '.join(sorted(FAULTS))}."
        )
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    # PostgreSQL runs as another user, and has to reach its own directory in it.
    directory.chmod(0o755)
    kept = ROOT / "var" / "chaos" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}-{options.seed}"
    well = False
    try:
        with ExitStack() as stack:
            well = play(options, directory, kept, stack, started)
    finally:
        if options.keep or not well:
            shutil.copytree(directory, kept, ignore=_no_data, dirs_exist_ok=True)
            say(f"Logs: {kept}")
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if well else 1


def _no_data(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"cluster", "appendonlydir", "dump.rdb"}}


def play(options: Options, directory: Path, kept: Path, stack: ExitStack, started: float) -> bool:
    """Whether all was well."""
    broker = _broker(options, directory)
    stack.callback(broker.end)
    database = _database(options, directory)
    stack.callback(database.end)
    proxy = stack.enter_context(Proxy(broker.port))
    _prepare_django(directory, database, proxy)
    fleet = Fleet()
    stack.callback(fleet.end)
    stage = Stage(
        directory=directory,
        database=database,
        broker=broker,
        proxy=proxy,
        fleet=fleet,
        load=Load(fleet, options.round_events),
        say=say,
    )
    say(
        f"seed {options.seed} · {database.name} · {broker.origin} · {options.minutes:g} min · data in {directory}"
    )
    enlist(fleet, stage.load, options, directory)
    fleet.watch()
    _wait_for_workers(options)
    from tests.chaos.run import Run
    from tests.chaos.verdict import judge

    this = Run(options, stage, _faults(options, stage), started)
    this.rounds()
    return judge(this, kept / "summary.json")


def _broker(options: Options, directory: Path) -> ChaosBroker:
    if not options.broker_url:
        return OwnBroker(options.broker, directory / "broker")
    given = ChaosBroker(options.broker_url, "BROKER_URL")
    if (used := given.used_databases()) and not options.empty_broker:
        raise Unusable(
            f"The broker at BROKER_URL holds data ({', '.join(used)}), and chaos empties it: FLUSHALL. "
            "Allow that with CHAOS_EMPTY_BROKER=yes, or unset BROKER_URL for a broker of the run's own."
        )
    return given


def _database(options: Options, directory: Path) -> ChaosDatabase:
    if options.database_url:
        return GivenPostgres(options.database_url)
    return PrivatePostgres(directory) if options.database == "postgresql" else Sqlite(directory)


def _prepare_django(directory: Path, database: ChaosDatabase, proxy: Proxy) -> None:
    """For this process, and through the environment for those it starts."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "DATABASE_URL": database.url,
        "REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0",
        "BROKER_URL": "",
        "VAR_DIR": str(directory / "var"),
        "SECRET_KEY": secrets.token_urlsafe(40),
        "EMAIL_URL": "dummymail://",
    }
    import django
    from django.core.management import call_command

    django.setup()
    from tests.chaos import ledger
    from tests.chaos.models import Tag

    call_command("migrate", run_syncdb=True, verbosity=0)
    ledger.expect()
    Tag.objects.bulk_create(Tag(name=f"{number}") for number in range(20))


def _wait_for_workers(options: Options) -> None:
    from events.models import Worker

    if not wait_until(lambda: patiently(Worker.objects.count) >= options.workers, _START, every=0.2):
        raise Unusable(f"The workers gave no sign of life within {_START:.0f} s.")


def _faults(options: Options, stage: Stage) -> list[str]:
    """Those that can be done to what there is, and are wanted."""
    from tests.chaos.faults import FAULTS, LONG, Need

    there = {Need.NOTHING: True, Need.OWN_BROKER: stage.broker.owned}
    there[Need.OWN_POSTGRESQL] = isinstance(stage.database, PrivatePostgres)
    there[Need.POSTGRESQL] = isinstance(stage.database, (PrivatePostgres, GivenPostgres))
    short = options.minutes < _SHORT
    wanted = options.faults or tuple(name for name in FAULTS if not (short and name in LONG))
    for name in wanted:
        if not there[FAULTS[name].need]:
            say(f"left out: {name} needs {FAULTS[name].need}")
    chosen = [name for name in wanted if there[FAULTS[name].need]]
    if not chosen:
        raise Unusable("None of the faults that were asked for can be done here.")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
