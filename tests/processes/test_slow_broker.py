"""A process with threads, and every way a broker has of taking no messages: no commit waits for it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from redis import Redis, ResponseError

from events import transport
from events.fast_path import fast_path
from events.message import Message
from events.models import EventRecord
from project.celery import app
from project.dev.broker import Broker
from tests import brokers
from tests.faults.proxy import Proxy
from tests.processes.conftest import wait_for
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8

# A setting of the server's, its value, the one that ends it, and what the server says to a write meanwhile.
FULL = ("maxmemory", "1", "0", "maxmemory")
SHORT_OF_REPLICAS = ("min-replicas-to-write", "1", "0", "replicas")


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    before = app.conf.broker_url
    with Proxy(brokers.port(broker)) as between:
        connect(brokers.at(broker, between.port))
        yield between
        between.heal()
        wait_for(fast_path.flows, "the breaker to close")
        connect(before)


def connect(url: str) -> None:
    app.conf.broker_url = url
    app._pool = None
    transport.reset()


@pytest.fixture
def server(broker: Broker) -> Iterator[Redis]:
    client = broker.client()
    yield client
    for name, _, end, _ in (FULL, SHORT_OF_REPLICAS):
        client.config_set(name, end)
    client.replicaof("NO", "ONE")
    wait_for(fast_path.flows, "the breaker to close")


def save() -> None:
    with transaction.atomic():
        Item.objects.create(title="one")


def publishes() -> bool:
    """Whether a commit is published by itself, and the message arrives."""
    save()
    return bool(EventRecord.objects.latest("pk").published and fast_path.finish())


def in_threads() -> None:
    """Returns when each has committed."""

    def one() -> None:
        try:
            save()
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check_that_all_is_left_to_the_relay() -> None:
    wait_for(lambda: not fast_path.flows(), "the breaker to open")
    before = set(EventRecord.objects.values_list("pk", flat=True))
    in_threads()
    later = EventRecord.objects.exclude(pk__in=before)
    assert [event.published for event in later] == [[]] * THREADS


def hang(proxy: Proxy) -> None:
    proxy.hang()


def drip(proxy: Proxy) -> None:
    proxy.drip = 0.15


def slow_down(proxy: Proxy) -> None:
    proxy.delay = 5.0


@pytest.mark.parametrize("strike", [hang, drip, slow_down, Proxy.refuse])
def test_broker_out_of_reach__threads_commit_and_leave_all_to_the_relay(
    proxy: Proxy, strike: Callable[[Proxy], None]
) -> None:
    wait_for(publishes, "a publish")
    strike(proxy)
    # None of them gets an answer of the broker, and all of them return.
    in_threads()
    check_that_all_is_left_to_the_relay()
    proxy.heal()
    wait_for(publishes, "a publish")


def test_broker_slow_to_connect__costs_the_first_commit_nothing(proxy: Proxy) -> None:
    transport.reset()
    connected, answered = proxy.connections, proxy.answered
    proxy.hang()
    # The commits are over; of the dozen answers that a new connection takes, none has come.
    wait_for(lambda: (save(), proxy.connections > connected)[1], "a try to connect")
    assert proxy.answered == answered


@pytest.mark.parametrize(("name", "begin", "end", "answer"), [FULL, SHORT_OF_REPLICAS])
def test_broker_that_answers_and_takes_nothing__keeps_the_breaker_open(
    server: Redis, name: str, begin: str, end: str, answer: str
) -> None:
    wait_for(publishes, "a publish")
    server.config_set(name, begin)
    assert server.ping()
    save()
    check_that_all_is_left_to_the_relay()
    check_that_the_probe_is_told(answer)
    server.config_set(name, end)
    wait_for(publishes, "a publish")


def test_broker_that_became_a_replica__keeps_the_breaker_open(server: Redis) -> None:
    wait_for(publishes, "a publish")
    server.replicaof("127.0.0.1", "1")
    save()
    check_that_all_is_left_to_the_relay()
    check_that_the_probe_is_told("read only")
    server.replicaof("NO", "ONE")
    wait_for(publishes, "a publish")


def check_that_the_probe_is_told(answer: str) -> None:
    with pytest.raises(ResponseError, match=answer):
        transport.probe()


def test_probe__leaves_nothing_behind(server: Redis) -> None:
    # What an earlier test has published may still be on its way.
    wait_for(fast_path.finish, "the courier")
    server.flushall()
    server.config_resetstat()
    transport.probe()
    assert server.dbsize() == 0
    assert "cmdstat_linsert" in server.info("commandstats")


def test_probe__of_a_user_who_may_touch_only_queues_and_only_as_kombu_does(server: Redis) -> None:
    before = app.conf.broker_url
    rights = ["~default*", "~audit*", "+lpush", "+llen", "+ping", "+multi", "+exec", "+hello", "+client"]
    server.execute_command("ACL", "SETUSER", "narrow", "on", ">secret", *rights)
    try:
        connect(before.replace("redis://", "redis://narrow:secret@"))
        transport.probe()
        wait_for(publishes, "a publish")
    finally:
        connect(before)
        server.execute_command("ACL", "DELUSER", "narrow")


def test_pipeline_cut_by_a_full_broker__leaves_nothing_for_the_next_commit(server: Redis) -> None:
    server.flushall()
    transport.publish([large(0)])
    server.flushall()
    server.config_set("maxmemory", str(server.info("memory")["used_memory"] + 1_000_000))
    with pytest.raises(Exception, match="maxmemory"):
        transport.publish([large(number) for number in range(10)])
    arrived = server.llen("default")
    assert 0 < arrived < 10, "the server was not cut in mid-pipeline"
    server.config_set("maxmemory", "0")
    # On the very same connection: `reset` has not been called.
    transport.publish([large(10)])
    assert server.llen("default") == arrived + 1


def large(number: int) -> Message:
    return Message(
        receiver="tests.shop.receivers.record_save",
        queue="default",
        using="default",
        ids=(f"{number}",),
        # What compression makes no smaller.
        envelopes=(secrets.token_urlsafe(225_000),),
        attempts=(0,),
    )
