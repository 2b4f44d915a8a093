from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_started
from django.db.models.signals import post_migrate, post_save
from django.test import override_settings

from events.catalog import catalog
from events.flow import FORMATS, Flow, Route, collect, show
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, fragile, offload_fragile, strained
from tests.shop.models import Item


def routes_of(receiver: str) -> list[Route]:
    return [route for route in collect().routes if route.receiver == receiver]


def test_flow__model_signal__with_types_queue_and_guarantee() -> None:
    (route,) = routes_of("tests.shop.receivers.record_save")
    assert (route.signal, route.sender, route.queue) == ("post_save", "shop.Item", "default")
    assert route.types == ("shop.item.created", "shop.item.updated")
    assert route.guarantee == "exactly once"


def test_flow__effects_outside_the_database__at_least_once() -> None:
    (route,) = routes_of("tests.shop.receivers.mail_save")
    assert route.guarantee == "at least once"


def test_flow__event__by_its_name(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    (route,) = routes_of(FRAGILE)
    assert (route.signal, route.types, route.sender) == ("tests.strained", ("tests.strained",), "any")


def test_flow__effect__is_the_first_line_of_the_docstring(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    assert routes_of(FRAGILE)[0].effect == "Fails until somebody mends it."


def test_flow__many_to_many__names_the_field() -> None:
    (route,) = routes_of("tests.shop.receivers.record_tags")
    assert route.sender == "shop.item.tags.through"
    assert route.types == ("shop.item.tags.added", "shop.item.tags.removed", "shop.item.tags.cleared")


def test_flow__queue__as_routed(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    with override_settings(EVENTS={"ROUTES": {FRAGILE: "audit"}}):
        assert routes_of(FRAGILE)[0].queue == "audit"


def test_flow__synchronous_receiver_of_an_app__in_process() -> None:
    (route,) = routes_of("library.receivers.slugs.set_book_slug")
    assert (route.signal, route.sender, route.queue, route.guarantee) == (
        *("pre_save", "library.Book"),
        "",
        "in process",
    )


def test_flow__every_signal_of_the_library_has_a_row() -> None:
    shown = {route.signal for route in collect(("library", "workers")).routes}
    assert shown >= {
        *("class_prepared", "pre_init", "post_init", "pre_save", "post_save", "pre_delete", "post_delete"),
        *("m2m_changed", "pre_migrate", "post_migrate", "request_started", "request_finished"),
        *("got_request_exception", "setting_changed", "user_logged_in", "user_login_failed"),
        *("library.book_read", "library.user_registered", "library.request_failed", "library.slow_request"),
    }


def test_flow__framework_and_installed_packages__have_none() -> None:
    modules = {route.receiver.partition(".")[0] for route in collect().routes}
    assert not modules & {"django", "celery", "events", "django_celery_results"}


def test_flow__one_app__only_its_receivers() -> None:
    assert {route.receiver.partition(".")[0] for route in collect(("workers",)).routes} == {"workers"}


def test_flow__arguments_that_cannot_travel__are_listed(offloaded: Offloaded) -> None:
    offloaded(fragile, [request_started, post_migrate])
    left_out = collect().left_out
    assert left_out["request_started"] == ("environ", "scope")
    assert left_out["post_migrate"] == ("app_config", "stdout", "plan", "apps")


ONE = Route(
    signal="post_save",
    types=("a.b.created", "a.b.updated"),
    sender="a.B",
    receiver="a.tell",
    queue="mails",
    effect="Tells | <all>.",
    guarantee="at least once",
)
FLOW = Flow(routes=(ONE,), left_out={"post_delete": ("origin",)})


def test_markdown__a_row_for_each_route() -> None:
    lines = show(FLOW, "markdown").splitlines()
    assert lines[0] == "| Signal | Event | Sender | Receiver | Queue | Effect | Guarantee |"
    assert lines[2] == (
        "| `post_save` | `a.b.created/updated` | `a.B` | `a.tell` | `mails` | Tells \\| &lt;all>. | at least once |"
    )
    assert lines[-1] == "- `post_delete`: `origin`"


def test_text__effect_under_its_receiver() -> None:
    assert show(FLOW, "text").splitlines() == [
        "post_save from a.B",
        "  -> a.tell  [queue mails, at least once]",
        "     Tells | <all>.",
        "post_delete leaves at home: origin",
    ]


def test_mermaid__signal_to_receiver_to_queue() -> None:
    assert show(FLOW, "mermaid").splitlines() == [
        "flowchart LR",
        '  s1(["post_save · a.B"])',
        '  r1["a.tell"]',
        '  q1[("mails")]',
        "  s1 --> r1",
        "  r1 --> q1",
    ]


def test_json__can_be_read_back() -> None:
    assert json.loads(show(FLOW, "json"))["routes"][0]["receiver"] == "a.tell"


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_flow__another_process_and_hash_seed__the_same_text(format: str) -> None:
    """So that it can be kept in a README."""
    base = Path(settings.BASE_DIR)

    def printed(seed: str) -> str:
        command = [sys.executable, "manage.py", "events", "flow", "--format", format]
        env = {**os.environ, "PYTHONHASHSEED": seed, "DJANGO_SETTINGS_MODULE": "project.settings"}
        return subprocess.run(command, cwd=base, env=env, check=True, capture_output=True, text=True).stdout

    first = printed("1")
    assert first == printed("2")
    assert str(base) not in first
    assert "library.receivers.slugs.set_book_slug" in first


def test_catalog__declared_event__with_fields_and_listeners() -> None:
    entry = next(entry for entry in catalog() if entry.type == "shop.returned")
    assert entry.description == "An item came back."
    assert [(f.name, f.type, f.required) for f in entry.fields or ()] == [
        ("item", "shop.Item", True),
        ("why", "str", False),
    ]
    assert entry.receivers == ("tests.shop.receivers.record_trade",)


def test_catalog__event_that_nobody_offloads__is_there() -> None:
    assert {"library.book_read", "library.user_registered"} <= {entry.type for entry in catalog()}


def test_catalog__model_signals__by_type() -> None:
    entries = {entry.type: entry for entry in catalog()}
    assert entries["shop.item.deleted"].receivers == ("tests.shop.receivers.record_delete",)
    assert entries["shop.item.deleted"].fields is None


def test_catalog__receiver_of_two_signals__under_both(offloaded: Offloaded) -> None:
    def listens(type_: str) -> bool:
        return any(entry.type == type_ and FRAGILE in entry.receivers for entry in catalog())

    offloaded(fragile, [strained, post_save], sender=Item)
    assert listens("tests.strained")
    assert listens("shop.item.updated")


def unused(sender: Any, **kwargs: Any) -> None:
    """A synchronous receiver of a test, which is no app of the project."""


def test_flow__function_outside_the_apps__has_no_row() -> None:
    post_save.connect(unused, sender=Item)
    try:
        assert not routes_of("tests.events.test_flow.unused")
    finally:
        post_save.disconnect(unused, sender=Item)
