"""What is told of one event: by whom, what changed, when; on its page in the admin and by `events trace`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.db.models import Model
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import ResolverMatch, reverse
from django.utils.functional import SimpleLazyObject
from pytest_django import Settings

from events import pauses
from events.envelope import BY, decode
from events.middleware import trace_context
from events.models import Delivery, EventRecord, State
from events.operations.forgetting import forget
from events.operations.replaying import replay
from events.operations.telling import By, Change, Told, timeline
from events.relay.replaying import Past
from events.testing import drain
from library.models import Book
from tests.events.conftest import Offloaded
from tests.events.operating import bury, offload_fragile, run
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(autouse=True)
def receivers(offloaded: Offloaded, settings: Settings) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    offload_fragile(offloaded)
    yield
    pauses._known.clear()


def save(request: HttpRequest) -> HttpResponse:
    Item.objects.create(title="x")
    return HttpResponse()


async def save_later(request: HttpRequest) -> HttpResponse:
    await Item.objects.acreate(title="x")
    return HttpResponse()


def saving(row: Model) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        row.save()
        return HttpResponse()

    return view


def posted(rf: RequestFactory, user: object = None, route: str = "items/<int:pk>/") -> HttpRequest:
    request = rf.post("/items/5/?token=secret", {"password": "secret"})
    request.resolver_match = ResolverMatch(save, (), {"pk": 5}, route=route)
    if user is not None:
        request.user = user  # type: ignore[assignment]
    return request


def told() -> Told:
    return Told.of(EventRecord.objects.filter(type="shop.item.created").latest("pk").envelope)


def ann(**options: object) -> User:
    return User.objects.create_user("ann", password="x", **options)


# --- By whom ------------------------------------------------------------------------------------------------


def test_by_whom__the_users_request_by_its_route(rf: RequestFactory) -> None:
    user = ann()
    trace_context(save)(posted(rf, user))
    assert told().by == By(method="POST", route="items/<int:pk>/", user_id=str(user.pk))
    assert "secret" not in EventRecord.objects.latest("pk").envelope


def test_by_whom__a_user_that_nobody_asked_for__is_not_loaded(rf: RequestFactory) -> None:
    def load() -> User:
        raise AssertionError

    trace_context(save)(posted(rf, SimpleLazyObject(load)))
    assert told().by == By(method="POST", route="items/<int:pk>/", user_id=None)


def test_by_whom__somebody_not_logged_in(rf: RequestFactory) -> None:
    trace_context(save)(posted(rf, AnonymousUser()))
    by = told().by
    assert by is not None
    assert by.user_id is None


def test_by_whom__async(async_rf: AsyncRequestFactory) -> None:
    user = ann()
    request = async_rf.post("/")
    request.user = user
    async_to_sync(trace_context(save_later))(request)  # type: ignore[arg-type]
    assert told().by == By(method="POST", route="", user_id=str(user.pk))


def test_by_whom__after_the_request__nobody(rf: RequestFactory) -> None:
    trace_context(save)(posted(rf, ann()))
    save(posted(rf))
    assert told().by is None


def test_by_whom__the_real_site(client: Client) -> None:
    teacher = ann(is_superuser=True, is_staff=True)
    client.force_login(teacher)
    client.post(reverse("library:book_add"), {"title": "A book", "author": "B", "description": "c"})
    event = EventRecord.objects.get(type="library.book.created")
    by = Told.of(event.envelope).by
    assert by is not None
    assert (by.method, by.user_id) == ("POST", str(teacher.pk))
    assert Book.objects.exists()


def test_forgotten_user__the_event_about_others_stays_and_says_no_longer_by_whom(rf: RequestFactory) -> None:
    user = ann()
    drain()
    trace_context(save)(posted(rf, user))
    item = EventRecord.objects.get(type="shop.item.created")
    list(forget("default", f"auth.user/{user.pk}", by="bob"))
    after = decode(EventRecord.objects.get(pk=item.pk).envelope).data
    before = decode(item.envelope).data
    assert BY in before
    assert after == {name: value for name, value in before.items() if name != BY}


# --- What changed, and when ---------------------------------------------------------------------------------


def test_changes__before_and_after() -> None:
    item = Item.objects.create(title="before")
    item = Item.objects.get(pk=item.pk)
    item.title = "after"
    item.save()
    event = EventRecord.objects.filter(type="shop.item.updated").latest("pk")
    assert Told.of(event.envelope).changes == (Change("title", "before", "after"),)


@pytest.mark.parametrize("envelope", ["", "no json", '{"a": 1}'])
def test_told__of_no_envelope__is_nothing(envelope: str) -> None:
    assert Told.of(envelope) == Told(by=None, changes=())


def test_timeline__of_what_was_done() -> None:
    Item.objects.create(title="x")
    drain()
    row = Delivery.objects.select_related("event").filter(state=State.DONE).earliest("pk")
    whats = [moment.what for moment in timeline(row.event, row)]
    assert whats[0] == "emitted"
    assert whats[-1] == "done"
    assert any(what.startswith("started by") for what in whats)


def test_timeline__of_what_was_replayed__says_when() -> None:
    Item.objects.create(title="x")
    drain()
    [*replay("default", Past(), receiver=None, by="ann")]
    row = Delivery.objects.select_related("event").earliest("pk")
    assert "replayed" in [moment.what for moment in timeline(row.event, row)]


def test_timeline__of_what_failed__each_try_with_its_error() -> None:
    (row,) = bury("1")
    Delivery.objects.filter(pk=row.pk).update(sent_at=Now())
    row.refresh_from_db()
    moments = timeline(row.event, row)
    errors = [moment.error for moment in moments if moment.what.startswith("failed")]
    assert errors == ["ValueError: not mended: 1"] * 2
    assert [moment.what for moment in moments].count("dead letter") == 1
    assert all(moment.took >= timedelta() for moment in moments)
    assert sum((moment.took for moment in moments), timedelta()) == moments[-1].at - moments[0].at


def test_timeline__of_what_waits__until_when() -> None:
    (row,) = bury("1")
    run("retry", row.pk)
    row.refresh_from_db()
    assert "waits for its next try until then" in [moment.what for moment in timeline(row.event, row)]


def test_trace__prints_who_what_changed_and_the_timeline(rf: RequestFactory) -> None:
    user = ann()
    item = Item.objects.create(title="before")
    drain()

    def rename(request: HttpRequest) -> HttpResponse:
        row = Item.objects.get(pk=item.pk)
        row.title = "after"
        row.save()
        return HttpResponse()

    trace_context(rename)(posted(rf, user))
    drain()
    event = EventRecord.objects.get(type="shop.item.updated")
    said = run("trace", event.pk)
    assert f"by user {user.pk}: POST /items/<int:pk>/" in said
    assert "title: 'before' → 'after'" in said
    assert "emitted" in said
    assert "done" in said
    (root,) = json.loads(run("trace", event.pk, "--json"))
    assert root["by"] == {"method": "POST", "route": "items/<int:pk>/", "user_id": str(user.pk)}
    assert root["changes"] == [{"field": "title", "before": "before", "after": "after"}]
    assert [each["what"] for each in root["deliveries"][0]["timeline"]][-1] == "done"


def test_trace__of_a_dead_letter__tells_each_try() -> None:
    (row,) = bury("1")
    assert run("trace", row.pk).count("ValueError: not mended: 1") >= 2


# --- Its page -----------------------------------------------------------------------------------------------


def looker(client: Client, *codenames: str) -> Client:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_eventrecord", *codenames]))
    client.force_login(user)
    drain()
    return client


def page(event: EventRecord) -> str:
    return reverse("admin:offload_eventrecord_change", args=[event.pk])


def shown(client: Client, event: EventRecord) -> str:
    response = client.get(page(event))
    assert response.status_code == 200
    return response.content.decode()


def test_page__links_to_the_user_and_the_row_for_those_who_may_see_them(
    client: Client, rf: RequestFactory
) -> None:
    user = ann()
    book = Book.objects.create(title="A book", author="B")
    looker(client, "view_user", "view_book")
    trace_context(saving(book))(posted(rf, user))
    event = EventRecord.objects.filter(type="library.book.updated").latest("pk")
    pages = [
        reverse("admin:auth_user_change", args=[user.pk]),
        reverse("admin:library_book_change", args=[book.pk]),
    ]
    html = shown(client, event)
    assert all(f'href="{address}"' in html for address in pages)
    User.objects.get(username="looker").user_permissions.set(
        Permission.objects.filter(codename="view_eventrecord")
    )
    html = shown(client, event)
    assert not any(f'href="{address}"' in html for address in pages)
    assert "items/&lt;int:pk&gt;/" in html


def test_page__of_a_row_and_a_user_that_are_gone(client: Client, rf: RequestFactory) -> None:
    user = ann()
    trace_context(save)(posted(rf, user))
    event = EventRecord.objects.filter(type="shop.item.created").latest("pk")
    key = user.pk
    user.delete()
    Item.objects.all()._raw_delete("default")
    html = shown(looker(client), event)
    assert f"{event.subject}, which is no longer here" in html
    assert f"user {key}, who is no longer here" in html


@pytest.mark.parametrize(
    "subject", ["", "nothing", "no.model/5", "shop.item/", "shop.item/x", "shop.item/" + "9" * 60]
)
def test_page__of_any_subject(client: Client, subject: str) -> None:
    Item.objects.create(title="x")
    event = EventRecord.objects.get()
    EventRecord.objects.update(subject=subject)
    shown(looker(client), event)


def test_page__shows_changes_and_timeline_without_what_is_sensitive(client: Client) -> None:
    item = Item.objects.create(title="before", api_token="a-secret")
    item = Item.objects.get(pk=item.pk)
    item.title = "after"
    item.save()
    html = shown(looker(client), EventRecord.objects.get(type="shop.item.updated"))
    assert "before</td>" in html
    assert "after</td>" in html
    assert "a-secret" not in html
    assert 'class="events-timeline"' in html


def test_page__errors_are_for_those_who_may_look_at_deliveries(client: Client) -> None:
    (row,) = bury("a private word")
    envelope = json.dumps({"data": {}})
    EventRecord.objects.update(envelope=envelope)
    looker(client)
    assert "a private word" not in shown(client, row.event)
    User.objects.get(username="looker").user_permissions.add(Permission.objects.get(codename="view_delivery"))
    assert "a private word" in shown(client, row.event)


def test_page__everything_is_escaped(client: Client, rf: RequestFactory) -> None:
    user = User.objects.create_user(SCRIPT[:30], password="x")
    item = Item.objects.create(title=SCRIPT)
    item.refresh_from_db()
    item.title = f"{SCRIPT} 2"
    trace_context(saving(item))(posted(rf, user, route=SCRIPT))
    event = EventRecord.objects.filter(type="shop.item.updated").latest("pk")
    drain()
    (row,) = bury(SCRIPT)
    failed = [{"at": "2026-01-01T00:00:00+00:00", "attempt": 1, "worker": SCRIPT, "error": SCRIPT}]
    Delivery.objects.filter(pk=row.pk).update(event=event, failures=failed, error=SCRIPT, worker=SCRIPT)
    EventRecord.objects.filter(pk=event.pk).update(type=SCRIPT)
    html = shown(looker(client, "view_delivery"), event)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert") > 5


def test_page__as_many_statements_however_much_it_caused(client: Client) -> None:
    client = looker(client)
    Item.objects.create(title="x")
    drain()
    event = EventRecord.objects.filter(type="shop.item.created").latest("pk")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(client, event)
        return len([query for query in captured if "offload_" in query["sql"]])

    before = queries()
    for _ in range(20):
        Item.objects.create(title="y")
    EventRecord.objects.exclude(pk=event.pk).update(
        causation_id=event.pk, correlation_id=event.correlation_id
    )
    drain()
    assert queries() == before
    # The event, its envelope twice, its deliveries, its story with theirs, what it caused.
    assert before <= 8
