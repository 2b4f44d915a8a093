from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import Client

from events import offload, pauses
from events.relay.doubt import doubt
from events.testing import drain
from project.dev.broker import Broker
from project.dev.rabbitmq import RabbitMQ
from tests import brokers


class Offloaded(Protocol):
    def __call__(self, function: Callable[..., Any], signal: Any, /, **options: Any) -> None: ...


@pytest.fixture(autouse=True)
def no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a relay of this process learned of a broker that an earlier test took away."""
    monkeypatch.setattr(doubt, "_ask_at", None)
    monkeypatch.setattr(doubt, "wait", 0.0)


@pytest.fixture(autouse=True)
def nothing_left_in_the_broker(request: pytest.FixtureRequest) -> None:
    """Whoever asks for one finds no message of an earlier test: a relay would think it has no room for its own."""
    found = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    # Some tests make one of their own.
    if isinstance(found, (Broker, RabbitMQ)):
        brokers.empty(found)


@pytest.fixture
def offloaded() -> Iterator[Offloaded]:
    """Offload a module-level function for the length of a test."""
    functions = []

    def decorate(function: Callable[..., Any], signal: Any, /, **options: Any) -> None:
        functions.append(function)
        offload(signal, **options)(function)

    yield decorate
    for function in functions:
        offload.disconnect(function)


LogIn = Callable[..., Client]


@pytest.fixture
def log_in(client: Client) -> LogIn:
    """`log_in("view_queue", …)`: the client of a member of staff who may do that and nothing else."""

    def as_one_who_may(*codenames: str) -> Client:
        user = User.objects.create_user("ann", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="offload", codename__in=codenames)
        )
        client.force_login(user)
        drain()
        return client

    return as_one_who_may


@pytest.fixture
def exemplary_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests have beside the project's database is none of the checks' business here."""
    for other in connections.all():
        monkeypatch.setitem(other.settings_dict, "ATOMIC_REQUESTS", True)
        if other.vendor == "sqlite":
            options = {**other.settings_dict["OPTIONS"], "transaction_mode": "IMMEDIATE"}
            monkeypatch.setitem(other.settings_dict, "OPTIONS", options)
        if other.alias != DEFAULT_DB_ALIAS:
            # A replica, to which nobody writes.
            monkeypatch.setitem(other.settings_dict["TEST"], "MIRROR", DEFAULT_DB_ALIAS)


@pytest.fixture
def pauses_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read once a second: in which statement's company is not for a test to know."""
    monkeypatch.setitem(pauses._known, "default", (float("inf"), pauses.Pauses()))
