"""Prometheus itself reads what the site says, by the files that are deployed, and answers all that is asked of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from events.models import State
from project.dev.ports import free_port
from tests.events.ageing import store
from tests.events.ending import counted
from tests.processes.conftest import PATIENCE, wait_for

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "a-token-that-nobody-guesses"
RECEIVER = "tests.a_receiver"
# Of a broker and of trouble that there is none of here.
EMPTY = {
    "max by (queue) (events_queue_depth)",
    "sum by (receiver) (rate(events_failed_tries_total[5m])) > 0",
}


@pytest.fixture
def programs() -> None:
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail("Prometheus was not found (Debian: apt-get install prometheus), and CI has to run this.")
    if missing:
        pytest.skip("Prometheus was not found (Debian: apt-get install prometheus)")


@contextmanager
def prometheus(config: dict[str, Any], directory: Path) -> Iterator[str]:
    """Its address, once it answers."""
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: answers(address), "Prometheus", log=directory / "prometheus.log")
        yield f"http://{address}/api/v1"
    finally:
        server.terminate()
        server.wait()


def answers(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/-/ready", timeout=5).ok
    except requests.RequestException:
        return False


def deployed(site: str, directory: Path) -> dict[str, Any]:
    """The deployed configuration, for a site at another address, asked each second."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (directory / "token").write_text(TOKEN)
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": [site.removeprefix("http://")]}]
    job["authorization"] = {"credentials_file": str(directory / "token")}
    if not knows_headers():
        del job["http_headers"]
    return config


def knows_headers() -> bool:
    """Prometheus 3, which is deployed, does; Debian 12 has 2.42."""
    said = subprocess.run(
        ["promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    return "http_headers not found" not in said.stderr


def asked_by_dashboard() -> set[str]:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/events.json").read_text())
    return {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}


def asked(api: str, what: str, **params: str) -> Any:
    answer = requests.get(f"{api}/{what}", params=params, timeout=PATIENCE).json()
    assert answer["status"] == "success", answer
    return answer["data"]


@pytest.mark.django_db(transaction=True)
@override_settings(EVENTS={"METRICS_TOKEN": TOKEN, "DATABASES": ["default"], "QUEUES": ["default"]})
def test_prometheus__has_an_answer_to_each_panel_and_wakes_somebody_for_a_dead_letter(
    programs: None, live_server: LiveServer, tmp_path: Path
) -> None:
    counted(number=5, receiver=RECEIVER)
    store(1, states=[State.WAITING], receivers={RECEIVER: "default"})
    store(1, states=[State.DEAD], receivers={RECEIVER: "default"})

    with prometheus(deployed(live_server.url, tmp_path), tmp_path) as api:

        def unanswered() -> set[str]:
            return {ask for ask in asked_by_dashboard() if not asked(api, "query", query=ask)["result"]}

        wait_for(lambda: unanswered() <= EMPTY, "an answer to each panel", log=tmp_path / "prometheus.log")

        def is_up() -> bool:
            """By the last answer: on a machine that is busy, one in a while takes too long."""
            [target] = asked(api, "targets")["activeTargets"]
            return bool(target["health"] == "up")

        wait_for(is_up, "an answer in time", log=tmp_path / "prometheus.log")

        def awake() -> list[str]:
            return [
                alert["labels"]["receiver"]
                for alert in asked(api, "alerts")["alerts"]
                if alert["state"] == "firing" and alert["labels"]["alertname"] == "EventsDeadLetters"
            ]

        # It ends with an answer that comes too late, and begins again with the next.
        wait_for(lambda: awake() == [RECEIVER], "the alert of a dead letter", log=tmp_path / "prometheus.log")
        rules = [rule for group in asked(api, "rules")["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}
