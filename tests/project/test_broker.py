from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
import redis

from project.dev.broker import Broker, BrokerError, choose_server, start_broker
from project.dev.ports import free_port

NOTHING_ON_PATH = {"PATH": ""}


def embedded_server() -> Path:
    return Path(choose_server(NOTHING_ON_PATH)[0])


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_broker__server_on_path_is_preferred(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(embedded_server())

    with start_broker(tmp_path / "data", environ={"PATH": str(tmp_path)}) as broker:
        assert broker.origin == f"{name} on PATH"
        assert broker.client().ping()


def test_broker__path_without_server_takes_the_embedded_one(tmp_path: Path) -> None:
    with start_broker(tmp_path, environ=NOTHING_ON_PATH) as broker:
        assert broker.origin == "embedded Valkey"
        assert broker.client().ping()


def test_broker__lives_in_a_directory_with_a_space_and_keeps_to_it(tmp_path: Path) -> None:
    directory = tmp_path / "a directory"

    with start_broker(directory, environ=NOTHING_ON_PATH) as broker:
        assert broker.client().config_get("dir") == {"dir": str(directory)}


def test_broker__never_evicts_a_message(tmp_path: Path) -> None:
    with start_broker(tmp_path, environ=NOTHING_ON_PATH) as broker:
        assert broker.client().config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_broker__listens_on_loopback_only(tmp_path: Path) -> None:
    with start_broker(tmp_path, environ=NOTHING_ON_PATH) as broker:
        listening = psutil.Process(broker.pid).net_connections(kind="inet")
        assert {c.laddr.ip for c in listening if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_broker__is_shown_without_its_password() -> None:
    assert Broker("redis://me:pw@127.0.0.1:6379/0", "REDIS_URL").shown == "redis://me:**@127.0.0.1:6379/0"


def test_broker__redis_url_is_used_and_left_running(tmp_path: Path) -> None:
    with start_broker(tmp_path / "theirs", environ=NOTHING_ON_PATH) as theirs:
        ours = start_broker(tmp_path / "ours", environ={"REDIS_URL": theirs.url})
        ours.stop()

        assert (ours.origin, ours.pid) == ("REDIS_URL", None)
        assert theirs.client().ping()
        assert not (tmp_path / "ours").exists()


def test_broker__unreachable_redis_url_is_explained_in_one_line_without_its_password(tmp_path: Path) -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"

    with pytest.raises(BrokerError) as refused:
        start_broker(tmp_path, environ={"REDIS_URL": url})

    message = str(refused.value)
    assert "can't be reached" in message
    assert "unset REDIS_URL" in message
    assert "hidden" not in message
    assert "\n" not in message


def test_broker__taken_port_is_explained(tmp_path: Path) -> None:
    port = free_port()
    with start_broker(tmp_path / "first", port, NOTHING_ON_PATH):  # noqa: SIM117 -- the order is the point
        with pytest.raises(BrokerError, match=f"Port {port} for the broker is taken"):
            start_broker(tmp_path / "second", port, NOTHING_ON_PATH)


def test_broker__server_that_dies_at_once_is_explained(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(BrokerError, match=r"did not start: see .*broker\.log"):
        start_broker(tmp_path / "data", environ={"PATH": f"{tmp_path}:/bin:/usr/bin"})

    assert "no room" in (tmp_path / "data" / "broker.log").read_text()


@pytest.mark.parametrize("state", [signal.SIGCONT, signal.SIGSTOP], ids=["running", "frozen"])
def test_broker__stop_ends_the_server(tmp_path: Path, state: signal.Signals) -> None:
    broker: Broker = start_broker(tmp_path, environ=NOTHING_ON_PATH)
    assert broker.pid is not None
    os.kill(broker.pid, state)

    broker.stop()

    assert not psutil.pid_exists(broker.pid)
    with pytest.raises(redis.ConnectionError):
        broker.client().ping()
