"""Who did what: written with the deed, from the admin as from the command line, and never without it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from events import pauses
from events.deeds import Deed
from events.delivery.kill_switch import park
from events.models import Action, Delivery, Queue, State
from events.operations.jobs import start
from events.operations.redelivering import discard, redeliver
from events.registry import registry
from events.relay.jobs import Chosen, work
from events.relay.pruning import prune
from events.testing import drain
from tests.events.ageing import store
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, bury, offload_fragile, run
from tests.events.queries import statements
from tests.shop.models import Item

pytestmark = pytest.mark.django_db

ACTIONS = reverse("admin:offload_action_changelist")
SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(autouse=True)
def one_database(settings: Settings, offloaded: Offloaded) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    offload_fragile(offloaded)
    yield
    pauses._known.clear()


def recorded() -> list[tuple[str, str, str, int, str]]:
    return list(Action.objects.order_by("pk").values_list("by", "what", "target", "count", "why"))


# --- From the command line ----------------------------------------------------------------------------------


def test_retry__says_who_and_why() -> None:
    (row,) = bury()
    run("retry", row.pk, "--as", "ann", "--why", "the mail server is back")
    assert recorded() == [
        ("ann (command line)", "redelivered", f"delivery {row.pk}", 1, "the mail server is back")
    ]


def test_retry__who_gives_no_name__is_named_by_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "berta")
    (row,) = bury()
    run("retry", row.pk)
    assert Action.objects.get().by == "berta (command line)"


def test_pause_and_resume__say_who() -> None:
    run("pause", FRAGILE, "--as", "ann", "--why", "it floods")
    run("pause", FRAGILE, "--as", "bob")
    run("resume", FRAGILE, "--as", "cid")
    assert recorded() == [
        ("ann (command line)", "paused", f"receiver {FRAGILE}", 1, "it floods"),
        ("cid (command line)", "resumed", f"receiver {FRAGILE}", 1, ""),
    ]


def test_replay__says_what_and_how_many() -> None:
    Item.objects.create(title="fine")
    drain()
    run("replay", "--type", "shop.item.created", "--as", "ann", "--dry-run")
    assert recorded() == []
    run("replay", "--type", "shop.item.created", "--as", "ann")
    assert recorded() == [("ann (command line)", "replayed", "shop.item.created to all they went to", 2, "")]


def test_forget_and_prune__say_who() -> None:
    item = Item.objects.create(title="fine")
    drain()
    run("forget", f"shop.item/{item.pk}", "--as", "ann")
    store(1, at=timezone.now() - timedelta(days=40))
    run("prune", "--days", 30, "--as", "bob")
    assert recorded() == [
        ("ann (command line)", "forgotten", f"shop.item/{item.pk}", 1, ""),
        ("bob (command line)", "pruned", "events of more than 30 days", 1, ""),
    ]


# --- One row for one deed -----------------------------------------------------------------------------------


def test_deed__of_many_batches__is_one_row() -> None:
    deed = Deed(using="default", by="ann", what="redelivered")
    for count in (500, 0, 500, 101):
        deed.add(count)
    assert [count for _, _, _, count, _ in recorded()] == [1101]


def test_deed__that_changed_nothing__leaves_no_row() -> None:
    Deed(using="default", by="ann", what="redelivered").add(0)
    assert list(redeliver("default", [4711], by="ann")) == [0]
    assert list(discard("default", [4711], by="ann")) == [0]
    assert recorded() == []


@pytest.mark.django_db(transaction=True)
def test_deed__that_cannot_be_recorded__is_not_done() -> None:
    (row,) = bury()

    def refuse(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if "offload_action" in sql:
            raise DatabaseError("no room for it")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse), pytest.raises(DatabaseError):
        list(redeliver("default", [row.pk], by="ann"))
    assert Delivery.objects.get(pk=row.pk).state == State.DEAD
    assert recorded() == []


def test_discard__keeps_the_reason_on_the_delivery() -> None:
    (row,) = bury()
    list(discard("default", [row.pk], by="ann", why="a test\0 of\ud800 ours"))
    assert Delivery.objects.get(pk=row.pk).reason == "discarded by ann: a test\\x00 of\\ud800 ours"


def test_prune__a_year_of_deeds_stays() -> None:
    for days in (1, 300, 400):
        Deed(using="default", by="ann", what="paused", target=f"{days}").add(1)
        Action.objects.filter(target=f"{days}").update(at=timezone.now() - timedelta(days=days))
    assert sum(some.actions for some in prune("default", 30)) == 1
    assert [target for _, _, target, _, _ in recorded()] == ["1", "300"]


# --- In the admin -------------------------------------------------------------------------------------------


def staff(client: Client, *codenames: str) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="offload", codename__in=codenames)
    )
    client.force_login(user)
    drain()
    return client


def test_page__pause_is_recorded_with_its_user(client: Client) -> None:
    Queue.objects.create(name="extra")
    data = {"action": "pause", "_selected_action": "extra"}
    address = reverse("admin:offload_queue_changelist")
    staff(client, "view_queue", "pause_queue").post(address, data)
    assert recorded() == [("ann", "paused", "queue extra", 1, "")]


def test_list__who_may_not_look__is_refused(client: Client) -> None:
    everything_else = ["view_delivery", "redeliver_delivery", "pause_queue", "view_eventrecord"]
    staff(client, *everything_else)
    assert client.get(ACTIONS).status_code == 403


def test_list__nobody_adds_changes_or_deletes(client: Client) -> None:
    Deed(using="default", by="ann", what="paused").add(1)
    client.force_login(User.objects.create_superuser("root"))
    row = Action.objects.get()
    assert client.post(reverse("admin:offload_action_add"), {"by": "x"}).status_code == 403
    assert (
        client.post(reverse("admin:offload_action_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    )
    client.post(reverse("admin:offload_action_change", args=[row.pk]), {"by": "another"})
    assert Action.objects.get().by == "ann"


def test_list__texts_are_escaped_and_statements_bounded(client: Client) -> None:
    for number in range(30):
        Deed(using="default", by=SCRIPT, what="paused", target=SCRIPT, why=f"{SCRIPT} {number}").add(1)
    staff(client, "view_action")
    with statements() as made:
        page = client.get(ACTIONS).content.decode()
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    asked = [statement for statement in made if "offload_action" in statement]
    # A count up to a limit, and the rows.
    assert len(asked) == 2, made


# --- Who may see actions, and not the errors of deliveries --------------------------------------------------

SECRET = "no mailbox rosa@example.org"


def quoting() -> list[Action]:
    """A job that stopped, one that failed, and a receiver that was parked: each quotes what was raised."""
    (row,) = bury(SECRET)
    park("default", registry.get(FRAGILE), f"20 of its last 20 runs failed, the latest: {row.error[-60:]}")
    jobs = [
        start("default", Chosen(keys=(row.pk,)), "redelivered", by="bob", why=why, first_alone=True)
        for why in ("1", "2")
    ]
    Action.objects.filter(pk=jobs[0].pk).update(first=row.pk)
    work("default")
    Action.objects.filter(pk=jobs[1].pk).update(
        chosen={}, state=Action.State.STOPPED, outcome=f"It failed: ValueError({SECRET!r})"
    )
    found = list(Action.objects.order_by("pk"))
    assert all(SECRET in f"{action.why} {action.outcome}" for action in found)
    return found


def told(client: Client) -> str:
    """Everything that is shown of actions: the list, their pages, and what a running job's page asks for."""
    names = ("offload_action_change", "offload_action_progress")
    keys = Action.objects.values_list("pk", flat=True)
    pages = [ACTIONS, *(reverse(f"admin:{name}", args=[key]) for name in names for key in keys)]
    answers = [client.get(page) for page in pages]
    assert {answer.status_code for answer in answers} == {200}
    return html.unescape("\n".join(answer.content.decode() for answer in answers))


def test_errors__are_quoted_to_those_alone_who_may_see_them(client: Client) -> None:
    quoting()
    told_to_ann = told(staff(client, "view_action"))
    assert SECRET not in told_to_ann
    assert "The first of them, delivery" in told_to_ann
    assert "20 of its last 20 runs failed, the latest: …" in told_to_ann
    User.objects.get(username="ann").user_permissions.add(Permission.objects.get(codename="view_delivery"))
    # A delivery that stopped a job, a job that failed, and a parked receiver, which the list tells of too.
    assert told(client).count(SECRET) >= 4


def test_errors__a_search_does_not_find_them(client: Client) -> None:
    quoting()
    staff(client, "view_action")
    for text in (SECRET, "rosa@example.org", "It failed"):
        answer = client.get(ACTIONS, {"q": text})
        assert list(answer.context["cl"].result_list) == [], text
    # Nor does a filter made by hand.
    for text in ("outcome__contains", "why__contains"):
        assert client.get(ACTIONS, {text: "rosa"}).status_code == 400
    assert client.get(ACTIONS, {"state": "stopped"}).status_code == 200


def test_errors__a_job_of_ones_own__is_told_without_them(client: Client) -> None:
    quoting()
    staff(client, "redeliver_delivery")
    job = Action.objects.filter(what="redelivered").order_by("pk").first()
    assert job is not None
    answer = client.get(reverse("admin:offload_action_progress", args=[job.pk])).json()
    assert answer["outcome"].endswith("failed again: …")


def test_errors__parked_receiver__is_told_without_them(client: Client) -> None:
    quoting()
    page = reverse("admin:offload_pausedreceiver_changelist")
    told_to_ann = html.unescape(staff(client, "view_pausedreceiver").get(page).content.decode())
    assert SECRET not in told_to_ann
    assert "20 of its last 20 runs failed, the latest: …" in told_to_ann
