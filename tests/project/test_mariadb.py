from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from project.dev import mariadb
from project.dev.mariadb import MariaDB, MariaDBError, is_installed
from project.dev.ports import free_port

pytestmark = pytest.mark.skipif(not is_installed(), reason="no MariaDB server on this machine")

needs_driver = pytest.mark.skipif(
    importlib.util.find_spec("MySQLdb") is None, reason="mysqlclient is not installed: requirements/mysql.txt"
)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with MariaDB() as running:
        yield running


def test_server__listens_on_loopback_only_and_not_as_root(server: MariaDB) -> None:
    process = psutil.Process(server.pid)
    listening = process.net_connections(kind="inet")
    assert {c.laddr.ip for c in listening if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    assert os.getuid() != 0 or process.username() == "mysql"


def test_server__answers_only_while_it_runs(server: MariaDB) -> None:
    assert server.answers()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert not server.answers()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    server.restart()
    assert server.answers()


@needs_driver
def test_server__what_is_committed_survives_its_kill(server: MariaDB) -> None:
    import MySQLdb

    def run(*statements: str) -> object:
        with MySQLdb.connect(host="127.0.0.1", port=server.port, user="library", db="library") as connection:
            for statement in statements:
                cursor = connection.cursor()
                cursor.execute(statement)
            connection.commit()
            return cursor.fetchall()

    run("CREATE TABLE kept (id INT)", "INSERT INTO kept VALUES (1)")
    server.kill()
    assert not server.answers()
    server.start()
    assert run("SELECT id FROM kept", "SELECT id FROM kept") == ((1,),)


def test_server__on_a_taken_port__is_explained(server: MariaDB) -> None:
    with pytest.raises(MariaDBError, match=f"port {server.port} is taken"), MariaDB(port=server.port):
        pass


def test_server__that_does_not_start__is_explained_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = mariadb._options
    monkeypatch.setattr(mariadb, "_options", lambda *where: [*options(*where), "--no-such-option"])
    other = MariaDB()
    with pytest.raises(MariaDBError, match=r"(?s)did not start; its log ends with.*no-such-option"), other:
        pass
    assert other.directory is None


def test_command__runs_on_a_server_that_is_gone_afterwards(tmp_path: Path) -> None:
    show = "import os; print(os.environ['DATABASE_URL']); raise SystemExit(3)"
    done = subprocess.run(
        [sys.executable, "-m", "project.dev.mariadb", "--", sys.executable, "-c", show],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)} if os.getuid() else os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (3, "")
    port = int(done.stdout.strip().removeprefix("mysql://library@127.0.0.1:").removesuffix("/library"))
    assert not MariaDB(port=port).answers()


def test_command__without_one_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert mariadb.main([]) == 2
    assert "python -m project.dev.mariadb -- COMMAND" in capsys.readouterr().err


def test_server__that_is_not_there_does_not_answer() -> None:
    assert not MariaDB(port=free_port()).answers()
