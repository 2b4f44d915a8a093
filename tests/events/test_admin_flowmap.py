"""The flow map: drawn from the registry, with what each line carries."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from events import Event
from events.admin.drawing import Live, draw
from events.flow import collect
from events.models import Delivery, State, Worker
from events.relay.workers import Workforce
from tests.events.ageing import store
from tests.events.conftest import Offloaded
from tests.events.ending import counted
from tests.events.queries import statements

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:offload_flowmap_changelist")
NOW = reverse("admin:offload_flowmap_now")
SCRIPT = "<script>alert('x')</script>"
AUDIT = "workers.audit.record_login"

drawn = Event("tests.drawn")


def told_in_scripts(sender: Any, **kwargs: Any) -> None:
    """Says <script>alert('x')</script> to all."""


@pytest.fixture
def looker(client: Client) -> Client:
    user = User.objects.create_user("looker", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_flowmap"))
    client.force_login(user)
    return client


def shown(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_map__every_offloaded_receiver_with_its_signal_and_queue(looker: Client) -> None:
    html = shown(looker, PAGE)
    for route in collect().routes:
        if route.queue:
            assert f"<title>{route.receiver}</title>" in html
            assert f"<title>{route.queue}</title>" in html
    assert "library.receivers.slugs.set_book_slug" not in html


def test_map__with_what_runs_in_process__on_request(looker: Client) -> None:
    html = shown(looker, f"{PAGE}?all=1")
    assert "<title>library.receivers.slugs.set_book_slug</title>" in html
    assert "events-in-place" in html


def test_map__each_receiver_tells_what_it_does_how_often_it_tries_and_where_it_is(looker: Client) -> None:
    [route] = [route for route in collect().routes if route.receiver == AUDIT]
    html = shown(looker, PAGE)
    section = html[html.index(f"<h3>{AUDIT}</h3>") :].partition("</section>")[0]
    assert "Writes an audit entry for a log-in." in section
    assert "12 tries: after 1 s, each wait 3 times as long, at most 1 h" in section
    assert route.source.startswith("workers/audit.py:")
    assert route.source in section
    assert "user_logged_in from any" in section


def test_lines__carry_pace_and_failures(looker: Client) -> None:
    counted(number=10, receiver=AUDIT)
    counted(number=10, receiver=AUDIT, state=State.DEAD, tries=1)
    html = shown(looker, NOW)
    assert "4.0/min · 50% failed" in html
    assert "4.0 a minute, 20 in the last hour, 50% of the tries failed" in html
    # From the signal to the receiver and from there to its queue; once with words beside it.
    assert html.count('class="events-line events-fails events-moves"') == 2
    assert html.count("4.0 a minute, 20 in the last hour, 50% of the tries failed") == 2
    assert html.count("4.0/min · 50% failed") == 1


def test_line__of_what_has_never_ended__tells_that_it_fails(looker: Client) -> None:
    store(3, states=[State.WAITING], receivers={AUDIT: "audit"})
    Delivery.objects.update(tries=2)
    assert "0/min · 100% failed" in shown(looker, NOW)


def test_workers__beside_the_queues_they_serve(looker: Client) -> None:
    before = shown(looker, NOW)
    Worker.objects.create(id="worker@there", queues=["audit"], processes=1)
    html = shown(looker, NOW)
    assert "worker@there" in html
    # Nobody serves the others, and till then nobody served this one.
    assert html.count("events-box-queue events-fails") == before.count("events-box-queue events-fails") - 1


def test_drawing__no_two_boxes_of_a_column_overlap_and_all_are_within() -> None:
    drawing = draw(collect(), Workforce(workers=()), {}, {}, {})
    for column in {box.column for box in drawing.boxes}:
        tops = sorted(box.y for box in drawing.boxes if box.column == column)
        assert all(later - sooner >= box_height() for sooner, later in pairwise(tops))
        assert tops[0] > 0
        assert tops[-1] + box_height() <= drawing.height


def box_height() -> int:
    return draw(collect(), Workforce(workers=()), {}, {}, {}).boxes[0].height


def test_drawing__each_receivers_line_goes_from_its_box_to_its_queues() -> None:
    live = {AUDIT: Live(per_minute="4/min")}
    drawing = draw(collect(), Workforce(workers=()), live, {}, {})
    [line] = [line for line in drawing.lines if line.live.per_minute and line.labelled]
    assert (line.start.text, line.end.text) == (AUDIT, "audit")
    # What goes to it says the same to who points at it.
    assert {each.end.text for each in drawing.lines if each.live.per_minute} == {AUDIT, "audit"}
    assert line.path.startswith(f"M{line.start.x + line.start.width} {line.start.middle:g} ")


@pytest.mark.parametrize("address", [PAGE, NOW])
def test_without_the_permission__nothing_is_shown(client: Client, address: str) -> None:
    user = User.objects.create_user("nobody", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_minute", "view_delivery"]))
    client.force_login(user)
    assert client.get(address).status_code == 403


def test_statements__are_as_many_however_much_there_is(looker: Client) -> None:
    found = []
    for number in (1, 40):
        store(number, states=[State.DEAD], receivers={AUDIT: "audit"})
        counted(number=number, receiver=AUDIT)
        with statements() as made:
            shown(looker, PAGE)
        found.append(sorted(each for each in made if "offload" in each))
    expected = [*["SELECT offload_delivery"] * 2, "SELECT offload_minute", "SELECT offload_worker"]
    assert found == [expected, expected]


def test_docstring_and_worker__are_escaped(looker: Client, offloaded: Offloaded) -> None:
    offloaded(told_in_scripts, drawn)
    Worker.objects.create(id=SCRIPT, queues=["default"], processes=1)
    html = shown(looker, PAGE)
    assert "Says &lt;script&gt;" in html
    assert SCRIPT not in html
