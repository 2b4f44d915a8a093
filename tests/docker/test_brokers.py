"""A worker in a container, by pytest-celery, on each of the brokers: killed in the middle of its load."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from docker import DockerClient
from docker.models.networks import Network
from docker.models.volumes import Volume
from pytest_celery import CELERY_RABBITMQ_BROKER, CELERY_REDIS_BROKER, CeleryTestBroker, CeleryTestSetup
from pytest_docker_tools import container, fxtr, volume

from tests.docker.containers import (
    PASSWORD,
    Judge,
    LibraryWorker,
    Postgres,
    RabbitMQ,
    Redis,
    environment,
)

# Transactions; in the middle of them the worker is killed.
STEPS = 60
PATIENCE = 300
# The image's own asks for a web server.
NONE = {"test": ["NONE"]}
NETWORK = "{default_pytest_celery_network.name}"


@pytest.fixture(params=[CELERY_REDIS_BROKER, CELERY_RABBITMQ_BROKER])
def celery_broker(request: pytest.FixtureRequest) -> Iterator[CeleryTestBroker]:
    broker: CeleryTestBroker = request.getfixturevalue(request.param)
    yield broker
    broker.teardown()


@pytest.fixture
def celery_backend_cluster() -> None:
    """Results are in the database."""


@pytest.fixture
def default_pytest_celery_network(
    docker_client: DockerClient, redis_data: Volume, rabbitmq_data: Volume, postgres_data: Volume
) -> Iterator[Network]:
    """Whatever is still on it at the end goes with it, before the volumes: a container that was being started, too."""
    network = docker_client.networks.create(f"library-test-{secrets.token_hex(4)}")
    yield network
    for left in docker_client.containers.list(all=True, filters={"network": network.id}):
        left.remove(force=True, v=True)
    network.remove()


@pytest.fixture
def default_redis_broker_cls() -> type[Redis]:
    return Redis


@pytest.fixture
def default_rabbitmq_broker_cls() -> type[RabbitMQ]:
    return RabbitMQ


@pytest.fixture
def default_worker_container_cls() -> type[LibraryWorker]:
    return LibraryWorker


@pytest.fixture(scope="session")
def default_worker_container_session_cls() -> type[LibraryWorker]:
    return LibraryWorker


# Volumes of ours, which end with them: one without a name would outlive them.
redis_data, rabbitmq_data, postgres_data = volume(), volume(), volume()

default_redis_broker = container(
    image="{default_redis_broker_image}",
    network=NETWORK,
    ports=fxtr("default_redis_broker_ports"),
    environment=fxtr("default_redis_broker_env"),
    command=fxtr("default_redis_broker_command"),
    volumes={"{redis_data.name}": {"bind": "/data"}},
    wrapper_class=Redis,
    timeout=PATIENCE,
)

default_rabbitmq_broker = container(
    image="{default_rabbitmq_broker_image}",
    network=NETWORK,
    ports=fxtr("default_rabbitmq_broker_ports"),
    environment=fxtr("default_rabbitmq_broker_env"),
    volumes={"{rabbitmq_data.name}": {"bind": "/var/lib/rabbitmq"}},
    wrapper_class=RabbitMQ,
    timeout=PATIENCE,
)

postgres = container(
    image="postgres:17",
    network=NETWORK,
    volumes={"{postgres_data.name}": {"bind": "/var/lib/postgresql/data"}},
    environment={"POSTGRES_USER": "library", "POSTGRES_DB": "library", "POSTGRES_PASSWORD": PASSWORD},
    wrapper_class=Postgres,
    timeout=PATIENCE,
)


@pytest.fixture
def project_env(celery_broker_cluster_config: dict[str, Any], postgres: Postgres) -> dict[str, str]:
    return environment(celery_broker_cluster_config["urls"][0], postgres.url)


judge = container(
    image="{tests_image}",
    network=NETWORK,
    environment=fxtr("project_env"),
    command=Judge.command(),
    init=True,
    healthcheck=NONE,
    wrapper_class=Judge,
    timeout=PATIENCE,
)


@pytest.fixture
def default_worker_env(judge: Judge, project_env: dict[str, str]) -> dict[str, str]:
    """After the judge has made the tables."""
    return project_env


default_worker_container = container(
    image="{tests_image}",
    network=NETWORK,
    environment=fxtr("default_worker_env"),
    command=fxtr("default_worker_command"),
    init=True,
    healthcheck=NONE,
    read_only=True,
    tmpfs={"/tmp": ""},
    wrapper_class=LibraryWorker,
    timeout=PATIENCE,
)


def ask(judge: Judge, *command: str) -> Any:
    asked = judge.exec_run(["python", "-m", "tests.docker.inside", *command], demux=True)
    answer, errors = (part.decode() if part else "" for part in asked.output)
    assert asked.exit_code == 0, errors
    return json.loads(answer)


@pytest.mark.timeout(1200)
def test_worker_killed_under_load__nothing_is_lost_and_nothing_done_twice(
    celery_setup: CeleryTestSetup, judge: Judge
) -> None:
    worker = celery_setup.worker
    assert worker is not None

    with ThreadPoolExecutor(1) as aside:
        before = aside.submit(ask, judge, "load", "1", str(STEPS))
        ask(judge, "wait_for_effects", "5")
        worker.kill()
        before.result(PATIENCE)
    worker.restart()
    ask(judge, "load", "2", str(STEPS))
    found = ask(judge, "settle")

    assert worker.logs().count("ready.") == 2, worker.logs()
    assert found["troubles"] == [], f"{found}\n{worker.logs()[-5000:]}"
    assert found["finished"] == found["deliveries"] > 0
