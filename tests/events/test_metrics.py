"""What Prometheus is told, and who may ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from events.models import Delivery, Minute, PausedReceiver, State, Worker
from events.relay.metering import MINUTE
from tests.events.ageing import store
from tests.events.ending import counted
from tests.events.test_admin_health import watches  # noqa: F401 -- a fixture that is always used

pytestmark = pytest.mark.django_db

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "a-token-that-nobody-guesses"
RECEIVER = "tests.a_receiver"
OURS = {"database": "default", "queue": "default", "receiver": RECEIVER}


@pytest.fixture(autouse=True)
def token() -> Iterator[None]:
    with override_settings(EVENTS={"METRICS_TOKEN": TOKEN, "DATABASES": ["default"], "QUEUES": ["default"]}):
        yield


def scraped(client: Client) -> dict[str, list[Any]]:
    """Name of a sample → all of that name, as Prometheus reads them."""
    response = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(samples: list[Any], **labels: str) -> float:
    [sample] = [each for each in samples if labels.items() <= each.labels.items()]
    number: float = sample.value
    return number


def test_counters__what_ended_by_receiver_queue_and_state(client: Client) -> None:
    counted(number=5, receiver=RECEIVER)
    counted(number=2, receiver=RECEIVER, state=State.DEAD, tries=3)
    found = scraped(client)
    deliveries = found["events_deliveries_total"]
    assert value(deliveries, **OURS, state="done") == 5
    assert value(deliveries, **OURS, state="dead") == 2
    assert value(found["events_failed_tries_total"], **OURS) == 6
    assert value(found["events_emitted_total"], database="default") == 7


def test_counters__never_go_back_when_minutes_and_rows_are_gone(client: Client) -> None:
    counted(number=5, receiver=RECEIVER)
    Minute.objects.exclude(minute=Minute.ever("default")).delete()
    Delivery.objects.all().delete()
    counted(number=1, receiver=RECEIVER, minutes_ago=2)
    assert value(scraped(client)["events_deliveries_total"], **OURS, state="done") == 6


def test_histograms__are_cumulative_and_in_seconds(client: Client) -> None:
    counted(number=3, receiver=RECEIVER, waited=0.1, ran=0.02)
    counted(number=1, receiver=RECEIVER, waited=9_000, ran=2)
    found = scraped(client)
    waits = found["events_wait_seconds_bucket"]
    assert value(waits, **OURS, le="0.064") == 0
    assert value(waits, **OURS, le="0.128") == 3
    assert value(waits, **OURS, le="4194.304") == 3
    assert value(waits, **OURS, le="+Inf") == 4
    assert value(found["events_wait_seconds_count"], **OURS) == 4
    assert value(found["events_wait_seconds_sum"], **OURS) == pytest.approx(9_000.3, abs=0.05)
    assert value(found["events_run_seconds_bucket"], **OURS, le="0.032") == 3


def test_gauges__how_it_is_now(client: Client) -> None:
    store(4, states=[State.WAITING], receivers={RECEIVER: "default"})
    Delivery.objects.update(tries=1)
    store(2, states=[State.DEAD], receivers={RECEIVER: "default"})
    Worker.objects.create(id="one", queues=["default"], processes=3)
    found = scraped(client)
    assert value(found["events_retrying"], receiver=RECEIVER) == 4
    assert value(found["events_dead_letters"], receiver=RECEIVER) == 2
    assert value(found["events_unfinished"], queue="default", state="waiting") == 4
    assert value(found["events_queue_processes"], queue="default") == 3
    assert value(found["events_workers"], database="default") == 1
    assert value(found["events_broker_up"]) == 0
    assert value(found["events_database_up"], database="default") == 1
    assert value(found["events_oldest_undelivered_seconds"]) > 3600


def test_another_process__tells_the_same(client: Client) -> None:
    """Nothing is counted in memory: two scrapes by any two processes differ by what happened alone."""
    counted(number=5, receiver=RECEIVER)
    once = scraped(client)["events_deliveries_total"]
    assert scraped(Client())["events_deliveries_total"] == once


def test_counters_of_the_projects_own__of_all_processes(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What prometheus-client's processes leave there: one file each.
    import subprocess
    import sys

    program = "from prometheus_client import Counter; Counter('sold', 'Books sold').inc(2)"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], check=True)
    assert value(scraped(client)["sold_total"]) == 4


@pytest.mark.parametrize("header", ["", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", "Bearer x"])
def test_without_the_token__nothing_is_told(client: Client, header: str) -> None:
    response = client.get("/metrics", headers={"authorization": header} if header else {})
    assert response.status_code == 403
    assert b"events_" not in response.content


def test_no_token_is_set__an_empty_one_opens_nothing(client: Client) -> None:
    with override_settings(EVENTS={"DATABASES": ["default"]}):
        assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 403


@pytest.mark.parametrize(("codename", "status"), [("view_minute", 200), ("view_delivery", 403)])
def test_user__who_may_see_the_health_page_may_look(client: Client, codename: str, status: int) -> None:
    user = User.objects.create_user("somebody", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename=codename))
    client.force_login(user)
    assert client.get("/metrics").status_code == status


def named(text: str) -> set[str]:
    return set(re.findall(r"\bevents_[a-z_]+", text))


def test_dashboard_and_alerts__every_metric_they_name_is_there(client: Client) -> None:
    counted(number=5, receiver=RECEIVER)
    store(1, states=[State.WAITING], receivers={RECEIVER: "default"})
    PausedReceiver.objects.create(name=RECEIVER, by="ann")
    dashboard = json.loads((DEPLOY / "grafana/dashboards/events.json").read_text())
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    asked |= {rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    names = set().union(*map(named, asked))
    assert len(names) > 15
    # The broker is away here, so nobody knows how much is in it.
    assert names - scraped(client).keys() == {"events_queue_depth"}


def test_dashboard__each_panel_has_a_place_of_its_own() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/events.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) == 23


def test_prometheus__scrapes_the_projects_own_address() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    from django.urls import reverse

    assert job["metrics_path"] == reverse("metrics")
    for name in config["rule_files"]:
        assert (DEPLOY / "prometheus" / name).exists()
    assert MINUTE.total_seconds() >= 2 * int(config["global"]["scrape_interval"].removesuffix("s"))


def test_receivers_that_hold_still__by_whom(client: Client) -> None:
    PausedReceiver.objects.create(name="tests.paused", by="ann")
    PausedReceiver.objects.create(name="tests.parked", by="kill switch", probe_at=timezone.now())
    held = scraped(client)["events_receiver_held"]
    assert {(each.labels["receiver"], each.labels["how"]) for each in held} == {
        ("tests.paused", "paused"),
        ("tests.parked", "parked"),
    }
    PausedReceiver.objects.all().delete()
    assert "events_receiver_held" not in scraped(client)
