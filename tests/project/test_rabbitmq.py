from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from amqp.exceptions import InternalError
from kombu import Connection

from project.dev import rabbitmq
from project.dev.ports import is_taken
from project.dev.rabbitmq import RabbitMQ, RabbitMQError, is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason="no RabbitMQ on this machine")

QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMQ]:
    with RabbitMQ() as running:
        yield running


def test_node__listens_on_loopback_only_and_not_as_root(node: RabbitMQ) -> None:
    assert node.epmd is not None
    process = psutil.Process(node.pid)
    listening = [c for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.port for c in listening} == {node.port, node.dist_port}
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    finder = psutil.Process(node.epmd.pid).net_connections(kind="inet")
    assert {c.laddr.ip for c in finder if c.status == psutil.CONN_LISTEN} <= {"127.0.0.1", "::1"}
    assert os.getuid() != 0 or process.username() == "rabbitmq"


def test_node__what_it_confirmed_survives_its_kill(node: RabbitMQ) -> None:
    with Connection(node.url, transport_options={"confirm_publish": True}) as connection:
        connection.default_channel.queue_declare("kept", durable=True, auto_delete=False, arguments=QUORUM)
        connection.Producer().publish("it", exchange="", routing_key="kept", delivery_mode=2)
    node.write_names()
    node.kill()
    assert not node.answers()
    node.start()
    assert taken(node, "kept") is not None


def taken(node: RabbitMQ, queue: str) -> object:
    """Its first message; a quorum queue that has no leader yet is asked again."""
    end = time.monotonic() + 60
    while True:
        try:
            with Connection(node.url) as connection:
                return connection.default_channel.basic_get(queue, no_ack=True)
        except InternalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_node__says_what_rabbitmqctl_says(node: RabbitMQ) -> None:
    assert "library@localhost" in node.control("eval", "node().")
    with pytest.raises(RabbitMQError, match="no_such_command"):
        node.control("no_such_command")


def test_node__on_a_taken_port__is_explained(node: RabbitMQ) -> None:
    with pytest.raises(RabbitMQError, match=f"port {node.port} is taken"), RabbitMQ(port=node.port):
        pass


def test_node__program_missing__names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rabbitmq, "SEARCH", str(tmp_path))
    assert not is_installed()
    with pytest.raises(RabbitMQError, match="apt-get install rabbitmq-server"), RabbitMQ():
        pass


def test_node__leaves_nothing() -> None:
    with RabbitMQ() as other:
        assert other.epmd is not None
        directory, pids = other.directory, (other.pid, other.epmd.pid)
        assert directory is not None
    assert not directory.exists()
    assert not any(map(psutil.pid_exists, pids))
    assert not any(map(is_taken, (other.port, other.epmd_port, other.dist_port)))


def test_command__finds_the_node_and_the_settings_it_would_find_without(node: RabbitMQ) -> None:
    show = "import os; print(os.environ['BROKER_URL'], os.environ.get('DJANGO_SETTINGS_MODULE')); raise SystemExit(3)"
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-m", "project.dev.rabbitmq", "--", sys.executable, "-c", show],
        cwd=Path(__file__).resolve().parents[2],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("amqp://guest:guest@127.0.0.1:")
    assert done.stdout.endswith("None\n")
