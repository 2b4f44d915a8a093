"""A worker whose MariaDB is killed and started again: on a server of the test's own, whatever the others run on."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.dev.broker import Broker
from project.dev.mail import MailSink
from project.dev.mariadb import MariaDB, is_installed
from tests.processes.conftest import ROOT, WorkerProcess, wait_for

pytestmark = [
    pytest.mark.skipif(not is_installed(), reason="no MariaDB server on this machine"),
    pytest.mark.skipif(
        importlib.util.find_spec("MySQLdb") is None,
        reason="mysqlclient is not installed: requirements/mysql.txt",
    ),
]

SAVES = 5


@pytest.fixture
def server() -> Iterator[MariaDB]:
    with MariaDB() as running:
        yield running


@pytest.fixture
def environment(server: MariaDB, broker: Broker, smtp_sink: MailSink) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": server.url,
        "TEST_BROKER_URL": broker.url,
        "TEST_OTHER_DATABASE": "off",
        "EMAIL_URL": smtp_sink.url,
        "PYTHONPATH": str(ROOT),
    }


def run(environment: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, check=True, timeout=120)


def count(server: MariaDB, query: str) -> int:
    import MySQLdb

    with MySQLdb.connect(host="127.0.0.1", port=server.port, user="library", db="library") as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def wait_until_done(server: MariaDB, deliveries: int, worker: WorkerProcess) -> None:
    done = "SELECT COUNT(*) FROM offload_delivery WHERE state = 'done'"
    wait_for(lambda: count(server, done) == deliveries, f"{deliveries} deliveries", 120, worker.log)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_database_restarted__nothing_lost_nothing_twice(
    server: MariaDB, environment: dict[str, str], tmp_path: Path, end: str
) -> None:
    run(environment, "manage.py", "migrate", "--run-syncdb", "--verbosity", "0", "--skip-checks")
    worker = WorkerProcess(
        environment, tmp_path / "worker.log", "-c", "2", "-Q", "default,audit", "-l", "INFO"
    )
    try:
        run(environment, "-m", "tests.processes.emitter", str(SAVES))
        wait_until_done(server, 2 * SAVES, worker)
        # These it takes from the broker, and has no database to run them with.
        worker.signal_all(signal.SIGSTOP)
        run(environment, "-m", "tests.processes.emitter", str(SAVES))
        getattr(server, end)()
        worker.signal_all(signal.SIGCONT)
        wait_for(lambda: "OperationalError" in worker.log.read_text(), "it to notice", 60, worker.log)
        server.start()
        wait_until_done(server, 4 * SAVES, worker)
        assert count(server, "SELECT COUNT(*) FROM shop_effect WHERE receiver = 'record_save'") == 2 * SAVES
        assert count(server, "SELECT COUNT(DISTINCT `key`) FROM shop_effect") == 4 * SAVES
    finally:
        worker.kill()
