"""What an occurrence of a signal becomes: type, subject, arguments; and what never emits."""

from __future__ import annotations

import json
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core import signals as core
from django.core.management import call_command
from django.db import close_old_connections, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import F
from django.db.models.signals import m2m_changed, post_delete, post_migrate, post_save
from django.dispatch import Signal
from django.test import Client, RequestFactory
from django.utils.functional import SimpleLazyObject
from django_celery_results.models import TaskResult
from pytest_django import Settings

from events import Event, muted
from events.models import Delivery, EventRecord, Worker
from events.testing import CapturedEvents, Drained, captured_events, drain
from tests.api.models import Membership, Parcel, Person, Team, Ticket
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item, Tag
from tests.shop.signals import bought

pytestmark = pytest.mark.django_db

happened = Signal()
noticed = Event("shop.noticed", item=Item, by=User)
HERE = __name__


def receive(sender: Any, **kwargs: Any) -> None: ...


def receive_too(sender: Any, **kwargs: Any) -> None: ...


def receive_raw(sender: Any, **kwargs: Any) -> None: ...


def save_again(sender: Any, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="save_again", key=event.idempotency_key)


def only_red(sender: Any, instance: Tag, **kwargs: Any) -> bool:
    return instance.name == "red"


def only_tags(sender: Any, **kwargs: Any) -> bool:
    return sender is Tag


def only_created(sender: Any, created: bool, **kwargs: Any) -> bool:
    return created


def types(events: CapturedEvents) -> list[str]:
    return [event.type for event in events]


def subjects(events: CapturedEvents) -> list[str]:
    return [event.subject for event in events]


# Types and subjects


def test_model__created_updated_deleted(offloaded: Offloaded) -> None:
    offloaded(receive, [post_save, post_delete], sender=Tag)
    with captured_events() as events:
        tag = Tag.objects.create(name="red")
        pk = tag.pk
        tag.save()
        Tag.objects.get(pk=pk).save(update_fields=["name"])
        tag.delete()
    assert types(events) == ["shop.tag.created", "shop.tag.updated", "shop.tag.updated", "shop.tag.deleted"]
    assert subjects(events) == [f"shop.tag/{pk}"] * 4
    assert [event.arguments.get("created") for event in events] == [True, False, False, None]
    assert events[2].arguments["update_fields"] == frozenset({"name"})
    assert events[3].arguments["instance"].pk == pk


def test_model__deleted_by_a_queryset_and_by_a_cascade(offloaded: Offloaded) -> None:
    offloaded(receive, post_delete, sender=Membership)
    team = Team.objects.create(name="reds")
    for name in ("Ann", "Bob"):
        team.members.add(Person.objects.create(name=name))
    with captured_events() as events:
        team.delete()
    assert types(events) == ["api.membership.deleted"] * 2


def test_model__key_of_another_type(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Parcel)
    with captured_events() as events:
        Parcel.objects.create(pk=uuid.UUID(int=7))
    assert subjects(events) == ["api.parcel/00000000-0000-0000-0000-000000000007"]


def test_model__secret_key_is_in_no_subject(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Ticket)
    with captured_events() as events:
        Ticket.objects.create(token="planted", seat="5a")
    assert subjects(events) == ["api.ticket"]
    assert "planted" not in events[0].emission.envelope
    assert events[0].arguments["instance"].seat == "5a"


def test_model__key_that_the_settings_call_a_secret(offloaded: Offloaded, settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "SENSITIVE_FIELDS": ["api.Parcel.id"]}
    offloaded(receive, post_save, sender=Parcel)
    with captured_events() as events:
        parcel = Parcel.objects.create()
    assert subjects(events) == ["api.parcel"]
    assert str(parcel.pk) not in events[0].emission.envelope


def test_m2m__added_removed_cleared(offloaded: Offloaded) -> None:
    offloaded(receive, m2m_changed, sender=Item.tags.through)
    item, red, blue = (
        Item.objects.create(title="one"),
        Tag.objects.create(name="r"),
        Tag.objects.create(name="b"),
    )
    with captured_events() as events:
        item.tags.add(red, blue)
        item.tags.remove(red)
        item.tags.clear()
        item.tags.set([blue])
    assert types(events) == [f"shop.item.tags.{verb}" for verb in ("added", "removed", "cleared", "added")]
    assert subjects(events) == [f"shop.item/{item.pk}"] * 4
    assert [event.arguments["pk_set"] for event in events] == [{red.pk, blue.pk}, {red.pk}, None, {blue.pk}]
    assert {event.arguments["model"] for event in events} == {Tag}
    assert {event.arguments["reverse"] for event in events} == {False}


def test_m2m__from_the_other_side(offloaded: Offloaded) -> None:
    offloaded(receive, m2m_changed, sender=Item.tags.through)
    item, red = Item.objects.create(title="one"), Tag.objects.create(name="red")
    with captured_events() as events:
        red.items.add(item)
        red.items.clear()
    assert types(events) == ["shop.item.tags.added", "shop.item.tags.cleared"]
    assert subjects(events) == [f"shop.tag/{red.pk}"] * 2
    assert [event.arguments["reverse"] for event in events] == [True, True]
    assert [event.arguments["model"] for event in events] == [Item, Item]
    assert isinstance(events[0].arguments["instance"], Tag)


def test_m2m__custom_through(offloaded: Offloaded) -> None:
    offloaded(receive, m2m_changed, sender=Team.members.through)
    team, person = Team.objects.create(name="reds"), Person.objects.create(name="Ann")
    with captured_events() as events:
        team.members.add(person, through_defaults={"since": date(2026, 1, 1)})
        person.teams.remove(team)
    assert types(events) == ["api.team.members.added", "api.team.members.removed"]
    assert subjects(events) == [f"api.team/{team.pk}", f"api.person/{person.pk}"]


def test_m2m__rows_of_a_custom_through_are_model_events(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Membership)
    team, person = Team.objects.create(name="reds"), Person.objects.create(name="Ann")
    with captured_events() as events:
        Membership.objects.create(team=team, person=person)
    assert types(events) == ["api.membership.created"]


def test_m2m__to_itself_is_sent_once(offloaded: Offloaded) -> None:
    offloaded(receive, m2m_changed, sender=Person.friends.through)
    ann, bob = Person.objects.create(name="Ann"), Person.objects.create(name="Bob")
    with captured_events() as events:
        ann.friends.add(bob)
    # As Django sends it, though there is a row for each way.
    assert types(events) == ["api.person.friends.added"]
    assert events[0].arguments["pk_set"] == {bob.pk}


def test_event__subject_is_its_last_instance(offloaded: Offloaded) -> None:
    offloaded(receive, noticed)
    item, user = Item.objects.create(title="one"), User.objects.create(username="u")
    with captured_events() as events:
        noticed.send(sender=Item, by=user, item=item)
        noticed.send(sender=Item, item=item, by=SimpleLazyObject(lambda: user))
    assert types(events) == ["shop.noticed", "shop.noticed"]
    assert subjects(events) == [f"shop.item/{item.pk}", f"auth.user/{user.pk}"]


def test_event__of_no_instance_has_no_subject(offloaded: Offloaded) -> None:
    offloaded(receive, happened)
    with captured_events() as events:
        happened.send(sender=None, amount=3)
    assert subjects(events) == [""]
    assert "subject" not in json.loads(events[0].emission.envelope)


@pytest.mark.parametrize(
    ("sender", "dumped"),
    [
        (None, None),
        ("checkout", {"value": "checkout"}),
        (Item, {"model": "shop.Item"}),
        (Client, {"class": "django.test.client.Client"}),
        (object(), None),
    ],
)
def test_sender__travels_by_its_name(offloaded: Offloaded, sender: Any, dumped: Any) -> None:
    offloaded(receive, happened)
    with captured_events() as events:
        happened.send(sender=sender)
    assert events[0].envelope.data["sender"] == dumped


# Arguments


def test_arguments__of_the_framework_that_cannot_travel_are_withheld(
    offloaded: Offloaded, rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    offloaded(receive, core.request_started)
    # As the test client does: it would close the connection in the test's own transaction.
    core.request_started.disconnect(close_old_connections)
    try:
        with captured_events() as events:
            core.request_started.send(sender=Client, environ=rf.get("/?q=planted").environ)
    finally:
        core.request_started.connect(close_old_connections)
    [event] = events
    assert event.type == "django.request_started"
    assert event.arguments == {}
    assert event.envelope.data["withheld"] == ["environ"]
    assert "uncaptured" not in event.envelope.data
    assert "planted" not in event.emission.envelope
    # Known to mean nothing elsewhere: nobody is bothered.
    assert caplog.records == []


def test_arguments__of_the_framework_never_fail_because_of_us(
    offloaded: Offloaded, caplog: pytest.LogCaptureFixture
) -> None:
    offloaded(receive, user_logged_in)
    user = User.objects.create(username="u")

    class Unheard:
        pass

    with captured_events() as events:
        user_logged_in.send(sender=User, request=None, user=user, device=Unheard())
    assert events[0].envelope.data["withheld"] == events[0].envelope.data["uncaptured"] == ["device"]
    [record] = caplog.records
    assert record.getMessage().startswith("events.withheld argument=device reason=")


def test_arguments__a_lazy_user_logs_out(offloaded: Offloaded, client: Client) -> None:
    # `logout` sends request.user, which is a lazy object.
    offloaded(receive, user_logged_out)
    user = User.objects.create(username="u")
    client.force_login(user)
    with captured_events() as events:
        client.logout()
    [event] = events
    assert event.type == "django.user_logged_out"
    assert event.has("user", user)
    assert "withheld" not in event.envelope.data


def test_arguments__credentials_stay_at_home(offloaded: Offloaded, rf: RequestFactory) -> None:
    offloaded(receive, user_login_failed)
    request = rf.post(
        "/login/?next=planted", {"password": "planted"}, headers={"cookie": "sessionid=planted"}
    )
    with captured_events() as events:
        user_login_failed.send(
            sender="auth", credentials={"username": "u", "password": "planted"}, request=request
        )
    assert "planted" not in events[0].emission.envelope
    assert events[0].arguments["request"].method == "POST"


def test_arguments__of_a_migration(offloaded: Offloaded) -> None:
    offloaded(receive, post_migrate)
    with captured_events() as events:
        call_command("migrate", verbosity=0)
    arguments = events[0].arguments
    assert arguments["using"] == "default"
    assert set(events[0].envelope.data["withheld"]) >= {"apps", "plan", "app_config"}


def test_arguments__secrets_of_a_model_stay_at_home(offloaded: Offloaded) -> None:
    offloaded(receive, [post_save, post_delete], sender=Person)
    offloaded(receive_too, post_save, sender=User)
    with captured_events() as events:
        person = Person.objects.create(name="Ann", password="planted-1", likes={"api_key": "planted-2"})
        person.likes = {"deep": [{"access_token": "planted-3"}]}
        person.save()
        person.delete()
        User.objects.create_user("ann", password="planted-4")
        User(username="bob", password="planted-5").save()
    assert len(events) == 5
    for event in events:
        assert "planted" not in event.emission.envelope
        assert "pbkdf2" not in event.emission.envelope
        assert "md5$" not in event.emission.envelope
    assert "name" in events[0].envelope.data["instance"]
    # That the row is incomplete is said.
    assert events[0].envelope.data["withheld"] == ["likes"]


def test_arguments__secrets_of_the_shop_are_in_no_table(offloaded: Offloaded) -> None:
    with captured_events():
        item = Item.objects.create(title="one", api_token="planted")
        bought.send(item=item, amount=1)
    drain()
    for record in EventRecord.objects.all():
        assert "planted" not in record.envelope
    types = EventRecord.objects.order_by("pk").values_list("type", flat=True)
    assert list(types) == ["shop.item.created", "shop.bought"]


def test_arguments__field_that_cannot_travel_fails_no_save(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Person, track=("score",))
    person = Person.objects.create(name="Ann", score=1)
    with captured_events() as events:
        person.score = F("score") + 1  # type: ignore[assignment]  # Django's way to count in the database
        person.save()
    if django.VERSION < (6, 0):
        assert "score" not in events[0].envelope.data["instance"]
    else:
        assert events[0].envelope.data["instance"]["score"] == 2
    person.refresh_from_db()
    assert person.score == 2


# What never emits


FIXTURE = [
    {"model": "shop.tag", "pk": 71, "fields": {"name": "red"}},
    {"model": "shop.item", "pk": 72, "fields": {"title": "one", "price": "2.00", "tags": []}},
]


def test_fixtures__emit_only_for_those_who_asked(offloaded: Offloaded, tmp_path: Path) -> None:
    offloaded(receive, post_save, sender=Tag)
    offloaded(receive_raw, post_save, sender=Tag, raw=True)
    fixture = tmp_path / "tags.json"
    fixture.write_text(json.dumps(FIXTURE))
    with captured_events() as events:
        call_command("loaddata", str(fixture), verbosity=0)
    assert Item.objects.filter(pk=72).exists()
    [event] = events
    assert event.receivers == (f"{HERE}.receive_raw",)
    assert event.arguments["raw"] is True
    assert event.subject == "shop.tag/71"


def test_historical_models__emit_only_for_those_who_asked(offloaded: Offloaded) -> None:
    offloaded(receive, post_save)
    offloaded(receive_raw, post_save, raw=True)
    historical = MigrationLoader(connection).project_state().apps.get_model("auth", "Group")
    assert historical is not Group
    with captured_events() as events:
        historical.objects.create(name="made by a migration")
        Group.objects.create(name="made by a person")
    assert types(events) == ["auth.group.created", "auth.group.created"]
    assert events[0].receivers == (f"{HERE}.receive_raw",)
    assert set(events[1].receivers) == {f"{HERE}.receive", f"{HERE}.receive_raw"}


def test_loops__tables_of_the_bus_and_results_never_emit(offloaded: Offloaded) -> None:
    offloaded(save_again, [post_save, post_delete])
    for model in (EventRecord, Delivery, Worker, TaskResult):
        offloaded(receive, [post_save, post_delete], sender=model)
    with captured_events() as events:
        Worker.objects.create(id="w").delete()
        Delivery.objects.create(event_id=uuid.uuid4(), receiver="r", queue="default", state="done").delete()
        TaskResult.objects.create(task_id="t").delete()
        EventRecord.objects.create(
            id=uuid.uuid4(), type="t", correlation_id=uuid.uuid4(), receivers={}, envelope="{}"
        ).delete()
    assert types(events) == []


def test_loops__receiver_of_everything_ends(offloaded: Offloaded) -> None:
    # Each effect is a row too, and would cause another; the deliveries themselves don't.
    offloaded(save_again, post_save, when=only_tags)
    Tag.objects.create(name="red")
    assert drain() == Drained(done=1)
    assert drain() == Drained()


def test_muted__emits_nothing_and_synchronous_receivers_run(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Tag)
    heard: list[Any] = []

    def hear(instance: Tag, **kwargs: Any) -> None:
        heard.append(instance.name)

    post_save.connect(hear, sender=Tag)
    with captured_events() as events:
        with muted():
            Tag.objects.create(name="unheard")
            with muted():
                Tag.objects.create(name="unheard")
            Tag.objects.create(name="unheard")
        Tag.objects.create(name="heard")
    post_save.disconnect(hear, sender=Tag)
    assert [event.arguments["instance"].name for event in events] == ["heard"]
    assert heard == ["unheard"] * 3 + ["heard"]


def test_muted__ends_with_an_exception(offloaded: Offloaded) -> None:
    offloaded(receive, happened)
    with captured_events() as events:
        with pytest.raises(ZeroDivisionError), muted():
            raise ZeroDivisionError
        happened.send(sender=None)
    assert len(events) == 1


# One occurrence is one event


def test_occurrence__is_one_event_for_all_who_listen(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Tag)
    offloaded(receive_too, post_save)
    with captured_events() as events:
        Tag.objects.create(name="red")
        Person.objects.create(name="Ann")
    assert types(events) == ["shop.tag.created", "api.person.created"]
    assert set(events[0].receivers) == {f"{HERE}.receive", f"{HERE}.receive_too"}
    assert events[1].receivers == (f"{HERE}.receive_too",)


def test_occurrence__is_one_event_whoever_was_there_first(offloaded: Offloaded) -> None:
    offloaded(receive_too, post_save)
    offloaded(receive, post_save, sender=Tag)
    with captured_events() as events:
        Tag.objects.create(name="red")
    assert len(events) == 1
    assert set(events[0].receivers) == {f"{HERE}.receive", f"{HERE}.receive_too"}


def test_occurrence__one_receiver_by_both_ways_runs_once(offloaded: Offloaded) -> None:
    offloaded(save_again, post_save, sender=Tag)
    offloaded(save_again, post_save, when=only_tags)
    Tag.objects.create(name="red")
    assert drain() == Drained(done=1)
    assert Effect.objects.count() == 1


def test_occurrence__general_one_stays_when_the_other_leaves(offloaded: Offloaded) -> None:
    from events import offload

    offloaded(receive, post_save, sender=Tag)
    offloaded(receive_too, post_save)
    offload.disconnect(receive)
    with captured_events() as events:
        Tag.objects.create(name="red")
    assert [event.receivers for event in events] == [(f"{HERE}.receive_too",)]


def test_when__decides_before_anything_is_stored(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Tag, when=only_red)
    with captured_events() as events, transaction.atomic():
        Tag.objects.create(name="blue")
        Tag.objects.create(name="red")
    assert [event.arguments["instance"].name for event in events] == ["red"]


def test_when__is_asked_for_each_receiver(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Tag, when=only_created)
    offloaded(receive_too, post_save, sender=Tag)
    with captured_events() as events:
        Tag.objects.create(name="red").save()
    assert [event.receivers for event in events] == [
        (f"{HERE}.receive", f"{HERE}.receive_too"),
        (f"{HERE}.receive_too",),
    ]


def test_signals_nobody_offloaded__have_no_listener_of_ours() -> None:
    assert not happened.has_listeners()
