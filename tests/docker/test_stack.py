"""The stack as it stands in docker-compose.yml."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
from django.conf import settings

from project.dev.browser import Browser
from project.dev.effects import Effect, wait_for
from project.dev.elsewhere import Elsewhere
from tests.docker.engine import Failed
from tests.docker.stack import ROOT, Compose, running

ADMIN_PASSWORD = "of a site that lives for a minute"
PATIENCE = 300
PASSWORD = "a quiet corner by the window"

# Seconds; the first of them builds the image and starts the stack.
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def stack(image: str) -> Iterator[Compose]:
    with running(Compose(image, "ports.yml")) as compose:
        yield compose


def site(stack: Compose) -> Elsewhere:
    return Elsewhere(f"http://{stack.address('web', 8000)}/", f"http://{stack.address('mail', 8025)}/")


def tell_the_story(stack: Compose) -> None:
    """Fails unless every effect came, each exactly once."""
    stack.python("web", "manage.py", "demo_data", "--admin-password", ADMIN_PASSWORD, "--covers", "20")
    stack.python("web", "manage.py", "recommend", "--first")
    there = site(stack)
    told = subprocess.run(
        [sys.executable, "-m", "project.dev.demo"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DEMO_SITE": there.site,
            "DEMO_MAILPIT": there.mailpit,
            "DATABASE_URL": f"postgres://library:{stack.password}@{stack.address('db', 5432)}/library",
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
        },
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}\n{stack.logs()}"
    assert told.stdout.endswith("Every effect came, each exactly once.\n")


def test_stack__tells_the_readers_story(stack: Compose) -> None:
    tell_the_story(stack)


def test_stack_on_rabbitmq__tells_the_readers_story_too(image: str) -> None:
    profile = {
        "COMPOSE_PROFILES": "rabbitmq",
        "ON_RABBITMQ": "yes",
        "RABBITMQ_PASSWORD": secrets.token_hex(16),
    }
    with running(Compose(image, "ports.yml", extra=profile)) as compose:
        tell_the_story(compose)

        assert "0 errors" in compose.python("web", "manage.py", "events", "doctor")
        assert set(queues_of_rabbitmq(compose)) >= set(settings.EVENTS["QUEUES"])


def queues_of_rabbitmq(compose: Compose) -> list[str]:
    return compose.run("exec", "-T", "rabbitmq", "rabbitmqctl", "-q", "list_queues", "name").split()


def test_stack__nothing_is_misconfigured_and_no_queue_is_without_a_worker(stack: Compose) -> None:
    assert "0 errors" in stack.python("web", "manage.py", "events", "doctor")


def test_stack__with_https_has_nothing_to_fear_from_the_deployment_check(stack: Compose) -> None:
    checked = stack.run(
        "exec",
        "-T",
        "-e",
        "HTTPS=on",
        "web",
        "python",
        "manage.py",
        "check",
        "--deploy",
        "--fail-level=WARNING",
    )

    assert "no issues (0 silenced)" in checked


def test_stack__a_mail_that_its_server_could_not_take_is_sent_when_it_is_back(stack: Compose) -> None:
    with stack.killed("mail"):
        reader = Browser(f"http://{stack.address('web', 8000)}/")
        page = reader.open("/register/")
        filled = {
            "username": "grace",
            "email": "grace@example.org",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        reader.submit(page, page.form(""), **filled)
        reader.close()

    there = site(stack)

    def arrived() -> int:
        try:
            return sum("grace@example.org" in str(mail["to"]) for mail in there.mails())
        except requests.ConnectionError:
            # It was started a moment ago.
            return 0

    mail = Effect("welcome mail", arrived)
    wait_for([mail], PATIENCE)

    assert mail.complaint == ""


def test_stack__workers_and_web_server_end_by_themselves_when_they_are_asked_to(stack: Compose) -> None:
    services = ["worker-files", "web"]

    # However long it takes: what a container is given is in the compose file.
    stack.run("stop", "--timeout", str(PATIENCE), *services)
    codes = {service: stack.state(service)["ExitCode"] for service in services}
    for service in services:
        stack.start(service)

    assert codes == dict.fromkeys(services, 0)


@pytest.mark.parametrize("secret", ["SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"])
def test_compose__without_a_secret_says_which_and_starts_nothing(image: str, secret: str) -> None:
    compose = Compose(image, "ports.yml", extra={secret: ""})

    with pytest.raises(Failed, match=f"{secret} is not set. Put it into .env, or let `make up` write one"):
        compose.run("up", "--detach", "--no-build")


def test_compose__publishes_on_this_machine_alone(image: str) -> None:
    config = json.loads(Compose(image, "ports.yml").run("--profile", "*", "config", "--format", "json"))

    published = [port for service in config["services"].values() for port in service.get("ports", [])]
    assert len(published) == 5
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
