"""Real web servers, in front of a broker that misbehaves: no request ever waits for it.

Not a matter of time here: the broker's answers never come, and those to the browser do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from events.models import EventRecord
from project.dev.broker import Broker
from tests import brokers
from tests.faults.proxy import Proxy
from tests.processes.conftest import wait_for
from tests.processes.serving import SERVERS, Site
from tests.shop.receivers import record_save

pytestmark = pytest.mark.django_db(transaction=True)

SAVES = 5
# Longer than any test: a request that waits for the broker would wait as long.
FOR_EVER = "3600"

Start = Callable[..., Site]


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    with Proxy(brokers.port(broker)) as between:
        yield between


@pytest.fixture
def start_site(process_env: dict[str, str], broker: Broker, proxy: Proxy, tmp_path: Path) -> Iterator[Start]:
    started: list[Site] = []

    def start(kind: str, **environment: str) -> Site:
        env = process_env | {"TEST_BROKER_URL": brokers.at(broker, proxy.port)} | environment
        log = tmp_path / f"{kind}.log"
        site = Site(env, log, kind)
        started.append(site)
        wait_for(site.answers, "a page", log=log)
        return site

    yield start
    for site in started:
        site.kill()
    connection.close()


def published() -> list[list[str]]:
    """For each save, in order, whose messages its emitter published."""
    saves = EventRecord.objects.filter(type="shop.item.created").order_by("pk")
    return list(saves.values_list("published", flat=True))


def publishes(site: Site, broker: Broker) -> bool:
    """Whether a save by the site is published by itself, and such messages have arrived."""
    site.save()
    return bool(published()[-1] and brokers.waiting(broker, "default"))


def states(site: Site) -> list[str]:
    """What the site's breaker has said so far."""
    return re.findall(r"events\.breaker state=(\w+)", site.log.read_text())


def is_open(site: Site) -> bool:
    return states(site)[-1:] == ["open"]


@pytest.mark.parametrize("kind", SERVERS)
def test_hung_broker__requests_are_answered_though_it_never_answers(
    kind: str, start_site: Start, proxy: Proxy
) -> None:
    # The first requests of the process: nothing has connected yet, and nothing can.
    proxy.hang()
    site = start_site(kind, SITE_PUBLISH_TIMEOUT=FOR_EVER)
    answers = [site.save() for _ in range(SAVES)]
    assert proxy.answered == 0
    wait_for(lambda: site.save()["connecting"], "a try to connect", log=site.log)
    # So it isn't luck: the only thread that ever asked for a connection is the one nobody waits for.
    assert {name for answer in [*answers, site.save()] for name in answer["connecting"]} == {"events-courier"}


@pytest.mark.parametrize("kind", SERVERS)
def test_broker_hangs_in_mid_conversation__requests_leave_all_to_the_relay_until_it_is_back(
    kind: str, start_site: Start, proxy: Proxy, broker: Broker
) -> None:
    site = start_site(kind)
    wait_for(lambda: publishes(site, broker), "a healthy start", log=site.log)
    proxy.hang()
    wait_for(lambda: (site.save(), is_open(site))[1], "an open breaker", log=site.log)
    proxy.listen()
    before, answered = len(published()), proxy.answered
    for _ in range(SAVES):
        site.save()
    assert published()[before:] == [[]] * SAVES
    assert proxy.answered == answered
    # The probe may ask for a connection; no commit says anything.
    assert record_save.__name__.encode() not in bytes(proxy.heard or b"")
    proxy.heal()
    wait_for(lambda: publishes(site, broker), "a closed breaker", log=site.log)


@pytest.mark.parametrize("kind", SERVERS)
def test_dripping_broker__its_bytes_keep_no_request(kind: str, start_site: Start, proxy: Proxy) -> None:
    # Each byte comes within any timeout of a socket; all of them would take minutes.
    proxy.drip = 0.15
    site = start_site(kind, SITE_PUBLISH_TIMEOUT=FOR_EVER)
    for _ in range(SAVES):
        site.save()
    wait_for(lambda: site.save()["connecting"], "a try to connect", log=site.log)
    assert site.save()["connecting"] == ["events-courier"]


def test_broker_fails__one_line_is_logged_for_each_opening(
    start_site: Start, proxy: Proxy, broker: Broker
) -> None:
    site = start_site("gunicorn gthread")
    wait_for(lambda: publishes(site, broker), "a healthy start", log=site.log)
    proxy.refuse()
    wait_for(lambda: (site.save(), is_open(site))[1], "an open breaker", log=site.log)
    for _ in range(SAVES):
        site.save()
    proxy.heal()
    wait_for(lambda: publishes(site, broker), "a closed breaker", log=site.log)
    # On a machine so slow that the broker seemed away before, there is more than one opening.
    said = states(site)
    assert said == ["open", "closed"] * (len(said) // 2)
    assert said
