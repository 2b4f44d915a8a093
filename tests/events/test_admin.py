"""Events, deliveries, task results: the lists and pages, and the links between them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_results.models import TaskResult

from events.admin.results import readable
from events.models import Delivery, EventRecord, Queue, Refusal, State, Worker
from events.testing import drain
from tests.events.conftest import Offloaded
from tests.events.operating import bury, offload_fragile
from tests.shop.models import Item

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture
def looker(client: Client) -> Client:
    """Logged in as somebody who may look at everything of the bus, and do nothing."""
    user = User.objects.create_user("looker", password="x", is_staff=True)
    apps = ["offload", "django_celery_results"]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label__in=apps, codename__startswith="view_")
    )
    client.force_login(user)
    # Both emitted events of their own.
    drain()
    EventRecord.objects.all()._raw_delete("default")
    Delivery.objects.all().delete()
    return client


@pytest.fixture
def event(looker: Client) -> EventRecord:
    """With two deliveries that are done, and a task result for both."""
    Item.objects.create(title="a title")
    drain()
    found = EventRecord.objects.get()
    for row in found.deliveries.all():
        TaskResult.objects.create(task_id=str(row.message_id), task_name=row.receiver, result='{"done": 1}')
    return found


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


def shown(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def links(html: str) -> set[str]:
    return {link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', html)}


def leads_to(html: str, address: str) -> bool:
    """Lists add what they were filtered by to the addresses of pages."""
    return address in {link.partition("?")[0] for link in links(html)}


LISTS = [
    "offload_eventrecord_changelist",
    "offload_delivery_changelist",
    "offload_worker_changelist",
    "offload_queue_changelist",
    "offload_refusal_changelist",
    "django_celery_results_taskresult_changelist",
]


@pytest.mark.parametrize("name", LISTS)
def test_list__empty__opens(looker: Client, name: str) -> None:
    shown(looker, page(name))


@pytest.mark.parametrize("name", LISTS)
def test_list__without_permission__is_refused(client: Client, name: str) -> None:
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(page(name)).status_code == 403


def test_events__list__shows_what_became_of_them(looker: Client, event: EventRecord) -> None:
    html = shown(looker, page("offload_eventrecord_changelist"))
    assert "shop.item.created" in html
    assert "2 done" in html


def test_events__page__links_to_its_deliveries_and_their_results(looker: Client, event: EventRecord) -> None:
    there = links(shown(looker, page("offload_eventrecord_change", event.pk)))
    for row in event.deliveries.all():
        assert page("offload_delivery_change", row.pk) in there
        result = TaskResult.objects.get(task_id=str(row.message_id))
        assert page("django_celery_results_taskresult_change", result.pk) in there


def test_delivery__page__links_to_its_event_and_result(looker: Client, event: EventRecord) -> None:
    row = event.deliveries.first()
    assert row is not None
    there = links(shown(looker, page("offload_delivery_change", row.pk)))
    assert page("offload_eventrecord_change", event.pk) in there
    result = TaskResult.objects.get(task_id=str(row.message_id))
    assert page("django_celery_results_taskresult_change", result.pk) in there


def test_task_result__page__links_to_deliveries_and_event(looker: Client, event: EventRecord) -> None:
    row = event.deliveries.first()
    assert row is not None
    result = TaskResult.objects.get(task_id=str(row.message_id))
    there = links(shown(looker, page("django_celery_results_taskresult_change", result.pk)))
    assert page("offload_delivery_change", row.pk) in there
    assert page("offload_eventrecord_change", event.pk) in there


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("offload_eventrecord_changelist", "offload/delivery/?event="),
        ("django_celery_results_taskresult_changelist", "offload/delivery/?message_id="),
    ],
)
def test_list__its_link_to_the_deliveries_leads_there(
    looker: Client, event: EventRecord, source: str, target: str
) -> None:
    address = next(link for link in links(shown(looker, page(source))) if target in link)
    html = shown(looker, address)
    assert "mail_save" in html or "record_save" in html


def test_delivery__list__links_to_events(looker: Client, event: EventRecord) -> None:
    there = links(shown(looker, page("offload_delivery_changelist")))
    assert page("offload_eventrecord_change", event.pk) in there


def test_event__page__links_to_cause_and_effects(looker: Client, event: EventRecord) -> None:
    Item.objects.create(title="caused")
    drain()
    caused = EventRecord.objects.exclude(pk=event.pk).get()
    EventRecord.objects.filter(pk=caused.pk).update(causation_id=event.pk)
    assert page("offload_eventrecord_change", caused.pk) in links(
        shown(looker, page("offload_eventrecord_change", event.pk))
    )
    assert page("offload_eventrecord_change", event.pk) in links(
        shown(looker, page("offload_eventrecord_change", caused.pk))
    )


def test_event__page__story__leads_to_the_same_beginning(looker: Client, event: EventRecord) -> None:
    address = next(
        link
        for link in links(shown(looker, page("offload_eventrecord_change", event.pk)))
        if "correlation_id=" in link
    )
    assert str(event.pk) in shown(looker, address)


@pytest.mark.parametrize("what", ["event", "message", "subject", "type", "receiver"])
def test_delivery__search(looker: Client, event: EventRecord, what: str) -> None:
    Item.objects.all().delete()
    drain()
    row = event.deliveries.get(receiver__endswith="mail_save")
    term = {
        "event": event.pk,
        "message": row.message_id,
        "subject": event.subject,
        "type": event.type,
        "receiver": "mail_sa",
    }[what]
    html = shown(looker, f"{page('offload_delivery_changelist')}?q={term}")
    assert "mail_save" in html
    assert leads_to(html, page("offload_delivery_change", row.pk))


@pytest.mark.parametrize("term", ["id", "subject", "type"])
def test_event__search__finds_it_and_no_other(looker: Client, event: EventRecord, term: str) -> None:
    Item.objects.all().delete()
    drain()
    value = {"id": event.pk, "subject": "shop.item/sought", "type": "shop.item.cr"}[term]
    EventRecord.objects.filter(pk=event.pk).update(subject="shop.item/sought")
    html = shown(looker, f"{page('offload_eventrecord_changelist')}?q={value}")
    others = EventRecord.objects.exclude(pk=event.pk)
    assert leads_to(html, page("offload_eventrecord_change", event.pk))
    assert others
    assert not any(leads_to(html, page("offload_eventrecord_change", other.pk)) for other in others)


@pytest.mark.parametrize(
    "query", ["state__exact=dead", "receiver=nobody", "queue=emails", "q=nothing-like-it"]
)
def test_delivery__filter__leaves_the_others_out(looker: Client, event: EventRecord, query: str) -> None:
    html = shown(looker, f"{page('offload_delivery_changelist')}?{query}")
    assert not any(leads_to(html, page("offload_delivery_change", row.pk)) for row in event.deliveries.all())


@pytest.mark.parametrize("term", ["%00", "'", "a/b/c", "01890a5d-ac96-774b-bcce-b302099a8057", "9" * 400])
@pytest.mark.parametrize("name", ["offload_eventrecord_changelist", "offload_delivery_changelist"])
def test_search__anything__does_not_break_the_page(looker: Client, name: str, term: str) -> None:
    assert looker.get(f"{page(name)}?q={term}").status_code in (200, 302)


# --- Only to look at ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["eventrecord", "delivery", "worker", "queue", "refusal"])
def test_add__even_for_a_superuser__is_refused(admin_client: Client, model: str) -> None:
    assert admin_client.get(page(f"offload_{model}_add")).status_code == 403


@pytest.mark.parametrize("verb", ["change", "delete"])
def test_post__even_by_a_superuser__changes_nothing(admin_client: Client, verb: str) -> None:
    Refusal.objects.create(reason="as it was")
    row = Refusal.objects.get()
    assert (
        admin_client.post(page(f"offload_refusal_{verb}", row.pk), {"reason": "x", "post": "yes"}).status_code
        == 403
    )
    assert Refusal.objects.get().reason == "as it was"


def test_list__even_for_a_superuser__offers_no_deletion(admin_client: Client) -> None:
    Item.objects.create(title="x")
    drain()
    assert "delete_selected" not in shown(admin_client, page("offload_delivery_changelist"))


# --- Escaping ----------------------------------------------------------------------------------------------


def test_escaping__title_in_an_envelope(looker: Client) -> None:
    Item.objects.create(title=SCRIPT)
    drain()
    html = shown(looker, page("offload_eventrecord_change", EventRecord.objects.get().pk))
    assert SCRIPT not in html
    assert "&lt;script&gt;alert" in html


@pytest.fixture
def scripted(looker: Client, offloaded: Offloaded) -> Delivery:
    offload_fragile(offloaded)
    return bury(SCRIPT)[0]


def test_escaping__traceback_on_the_page(looker: Client, scripted: Delivery) -> None:
    html = shown(looker, page("offload_delivery_change", scripted.pk))
    assert SCRIPT not in html
    assert "not mended: &lt;script&gt;alert" in html


def test_escaping__last_line_in_the_list(looker: Client, scripted: Delivery) -> None:
    html = shown(looker, page("offload_delivery_changelist"))
    assert SCRIPT not in html
    assert "not mended: &lt;script&gt;alert" in html


def test_escaping__subject_reason_and_result(looker: Client, event: EventRecord) -> None:
    EventRecord.objects.update(subject=SCRIPT, type=SCRIPT)
    Delivery.objects.update(reason=SCRIPT, state=State.SKIPPED, receiver=Concat("receiver", Value(SCRIPT)))
    Refusal.objects.create(reason=SCRIPT)
    TaskResult.objects.update(result=json.dumps(SCRIPT), task_name=SCRIPT)
    Worker.objects.create(pk=SCRIPT, receivers=[SCRIPT], queues=[SCRIPT])
    pages = [page(name) for name in LISTS]
    pages += [page("offload_eventrecord_change", event.pk), page("offload_worker_change", SCRIPT)]
    result = TaskResult.objects.earliest("pk")
    pages.append(page("django_celery_results_taskresult_change", result.pk))
    for address in pages:
        assert SCRIPT not in shown(looker, address)


# --- Speed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["offload_eventrecord_changelist", "offload_delivery_changelist"])
def test_list__as_many_queries_however_many_rows(looker: Client, event: EventRecord, name: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(looker, page(name))
        return len(captured)

    before = queries()
    for _ in range(5):
        Item.objects.create(title="x")
    drain()
    assert queries() == before
    assert before < 12


@pytest.mark.parametrize("name", ["offload_eventrecord_changelist", "offload_delivery_changelist"])
def test_list__never_counts_the_whole_table_or_reads_envelopes(
    looker: Client, event: EventRecord, name: str
) -> None:
    with CaptureQueriesContext(connection) as captured:
        shown(looker, page(name))
    asked = [query["sql"] for query in captured if "offload_" in query["sql"]]
    assert all("LIMIT" in sql for sql in asked if "COUNT(*)" in sql)
    assert not any('"envelope"' in sql for sql in asked)


# --- Readable ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ('{"done": 3, "retrying": 1}', "3 done, 1 retrying"),
        ("{}", "–"),
        (None, "–"),
        ("null", "–"),
        ('"a text"', "a text"),
        ("no json", "no json"),
        ('{"exc_type": "ValueError", "exc_message": ["no"]}', "ValueError: ['no']"),
    ],
)
def test_task_result__readable(stored: str | None, text: str) -> None:
    assert readable(stored) == text


def test_task_result__of_a_foreign_task__opens(looker: Client) -> None:
    result = TaskResult.objects.create(task_id="not-a-uuid", task_name=None, result="5")
    assert "not-a-uuid" in shown(looker, page("django_celery_results_taskresult_changelist"))
    shown(looker, page("django_celery_results_taskresult_change", result.pk))


def test_worker__that_stopped_beating__is_not_alive(looker: Client) -> None:
    Worker.objects.create(pk="alive", queues=["default"])
    Worker.objects.create(pk="left", left_at="2026-01-01T00:00Z")
    html = shown(looker, page("offload_worker_changelist"))
    assert html.count('alt="True"') == 1
    assert html.count('alt="False"') == 1


def test_queue__links_to_its_deliveries(looker: Client, event: EventRecord) -> None:
    Queue.objects.create(name="audit")
    address = next(
        link for link in links(shown(looker, page("offload_queue_changelist"))) if "queue=audit" in link
    )
    html = shown(looker, address)
    assert "mail_save" in html
    assert not leads_to(html, page("offload_delivery_change", event.deliveries.get(queue="default").pk))
