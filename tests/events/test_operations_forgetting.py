from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models.functions import Now
from django.db.models.signals import m2m_changed, post_save

from events import Event
from events.capture import subject_of
from events.delivery.kill_switch import park
from events.envelope import decode, is_forgotten
from events.models import Action, Delivery, EventRecord, PausedReceiver, State
from events.operations.forgetting import Progress, forget
from events.operations.jobs import note, start
from events.operations.mentions import NoSubject
from events.operations.redelivering import discard, redeliver
from events.registry import registry
from events.relay.jobs import Chosen, work
from events.testing import Drained, drain
from library.models import Profile
from tests.events.conftest import Offloaded
from tests.events.operating import bury, offload_fragile
from tests.shop.models import Effect, Item
from tests.shop.signals import bought
from tests.zoo.models import Animal, Bird, Relative, UuidKeyed

pytestmark = pytest.mark.django_db

met = Event("tests.met", people=list)


def look_on(sender: Any, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="look_on", key=event.idempotency_key)


def forgotten(subject: str, **options: Any) -> Progress:
    return [Progress(0, 0, 0), *forget("default", subject, by="ann", **options)][-1]


def texts() -> str:
    rows = [
        *EventRecord.objects.values_list("envelope", flat=True),
        *Delivery.objects.values_list("error", flat=True),
    ]
    return "\n".join([*rows, *Delivery.objects.values_list("reason", flat=True)])


def test_forget__event_about_the_row__loses_its_data() -> None:
    item = Item.objects.create(title="a private matter")
    drain()
    assert "a private matter" in texts()
    assert forgotten(f"shop.item/{item.pk}") == Progress(1, 1, 0)
    assert "a private matter" not in texts()


def test_forget__that_something_happened_stays() -> None:
    item = Item.objects.create(title="x")
    drain()
    before = EventRecord.objects.get()
    forgotten(f"shop.item/{item.pk}")
    after = EventRecord.objects.get()
    old, new = decode(before.envelope), decode(after.envelope)
    assert (new.id, new.type, new.time, new.subject) == (old.id, old.type, old.time, old.subject)
    assert (after.type, after.emitted_at, after.receivers) == (
        before.type,
        before.emitted_at,
        before.receivers,
    )
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}


def test_forget__other_rows__keep_theirs() -> None:
    item, other = (Item.objects.create(title=title) for title in ("first", "second"))
    drain()
    forgotten(f"shop.item/{item.pk}")
    assert "second" in EventRecord.objects.get(subject=f"shop.item/{other.pk}").envelope


def test_forget__event_that_refers_to_the_row__loses_its_data() -> None:
    item = Item.objects.create(title="x")
    bought.send(item=item, amount=77123)
    drain()
    assert forgotten(f"shop.item/{item.pk}").forgotten == 2
    assert "77123" not in texts()


def test_forget__reference_deep_inside__is_found(offloaded: Offloaded) -> None:
    offloaded(look_on, met)
    item = Item.objects.create(title="x")
    met.send(people=[{"who": [item]}])
    assert drain().done == 3
    forgotten(f"shop.item/{item.pk}")
    assert decode(EventRecord.objects.get(type="tests.met").envelope).data["args"] == {}


def test_forget__row_with_a_foreign_key_to_it__is_found(offloaded: Offloaded) -> None:
    offloaded(look_on, post_save, sender=Profile)
    user = User.objects.create(username="carla")
    profile = Profile.objects.get(user=user)
    profile.books_read = 4711
    profile.save()
    drain()
    assert "4711" in texts()
    forgotten(f"auth.user/{user.pk}")
    assert "4711" not in texts()


def test_forget__many_to_many_from_the_other_side__is_found(offloaded: Offloaded) -> None:
    offloaded(look_on, m2m_changed, sender=User.groups.through)
    user = User.objects.create(username="carla")
    group = Group.objects.create(name="a telling name")
    group.user_set.add(user)
    drain()
    forgotten(f"auth.user/{user.pk}")
    assert "a telling name" not in texts()


def test_forget__key_that_only_looks_alike__keeps_its_data() -> None:
    item = Item.objects.create(pk=12, title="kept 1 and 2")
    bought.send(item=item, amount=1)
    drain()
    assert forgotten("shop.item/1").forgotten == 0
    assert "kept 1 and 2" in texts()


def test_forget__unfinished_delivery__ends_as_skipped() -> None:
    item = Item.objects.create(title="x")
    drain()
    Delivery.objects.filter(receiver__endswith="mail_save").update(state=State.WAITING)
    assert forgotten(f"shop.item/{item.pk}").stopped == 1
    row = Delivery.objects.get(receiver__endswith="mail_save")
    assert (row.state, row.reason) == (State.SKIPPED, "forgotten")
    assert drain() == Drained()


def test_forget__event_that_no_relay_has_examined__never_runs() -> None:
    item = Item.objects.create(title="x")
    drain()
    Delivery.objects.all().delete()
    Effect.objects.all().delete()
    forgotten(f"shop.item/{item.pk}")
    assert set(Delivery.objects.values_list("state", "reason")) == {(State.SKIPPED, "forgotten")}
    assert drain() == Drained()
    assert not Effect.objects.exists()


def test_forget__traceback__goes_and_the_dead_letter_with_it(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    (row,) = bury("my secret illness")
    EventRecord.objects.update(subject="auth.user/5")
    forgotten("auth.user/5")
    assert "my secret illness" not in texts()
    assert Delivery.objects.get(pk=row.pk).state == State.SKIPPED


def test_forget__dry_run__counts_and_changes_nothing() -> None:
    item = Item.objects.create(title="still here")
    drain()
    assert forgotten(f"shop.item/{item.pk}", dry_run=True).forgotten == 1
    assert "still here" in texts()


def test_forget__twice__finds_nothing_more() -> None:
    item = Item.objects.create(title="x")
    drain()
    forgotten(f"shop.item/{item.pk}")
    assert forgotten(f"shop.item/{item.pk}").forgotten == 0


@pytest.mark.parametrize("subject", ["", "shop.item", "shop.item/", "item/5", "a.b.c/5"])
def test_forget__no_subject__is_an_error(subject: str) -> None:
    with pytest.raises(NoSubject, match=r"write app\.model/key"):
        forgotten(subject)


def test_forget__model_that_is_gone__is_forgotten_all_the_same() -> None:
    Item.objects.create(title="of a dropped model")
    drain()
    EventRecord.objects.update(subject="dropped.thing/5")
    assert forgotten("dropped.thing/5").forgotten == 1
    assert "of a dropped model" not in texts()


# --- Other names of the row ---------------------------------------------------------------------------------


@pytest.fixture
def relatives(offloaded: Offloaded) -> None:
    offloaded(look_on, met)
    for model in (Relative, UuidKeyed, Bird):
        offloaded(look_on, post_save, sender=model)


def kept(row: Relative) -> bool:
    return not is_forgotten(
        EventRecord.objects.get(type="zoo.relative.created", subject=subject_of(row)).envelope
    )


@pytest.mark.usefixtures("relatives")
@pytest.mark.parametrize("gone", [False, True])
def test_forget__foreign_key_to_another_field__is_found(gone: bool) -> None:
    row, other = (UuidKeyed.objects.create(code=code) for code in ("ours", "another"))
    ours, theirs = (Relative.objects.create(by_code=keyed) for keyed in (row, other))
    subject = subject_of(row)
    drain()
    # What it is called there stands in the row, and where that is gone, in the events about it.
    if gone:
        Relative.objects.all()._raw_delete("default")
        UuidKeyed.objects.all()._raw_delete("default")
    else:
        EventRecord.objects.filter(type="zoo.uuidkeyed.created").delete()
    forgotten(subject)
    assert (kept(ours), kept(theirs)) == (False, True)


@pytest.mark.usefixtures("relatives")
def test_forget__generic_foreign_key__is_found() -> None:
    row, other = (UuidKeyed.objects.create(code=code) for code in ("ours", "another"))
    ours, theirs = (Relative.objects.create(tagged=keyed) for keyed in (row, other))
    # The same key, of another table.
    kind = ContentType.objects.get_for_model(Animal)
    namesake = Relative.objects.create(tagged_type=kind, tagged_id=row.pk)
    drain()
    forgotten(subject_of(row))
    assert (kept(ours), kept(theirs), kept(namesake)) == (False, True, True)


@pytest.mark.usefixtures("relatives")
@pytest.mark.parametrize("label", ["zoo.animal", "zoo.bird"])
def test_forget__parent_and_child__are_one_row(label: str) -> None:
    bird = Bird.objects.create(name="a telling name", wingspan=1)
    met.send(people=[Animal.objects.get(pk=bird.pk)])
    drain()
    forgotten(f"{label}/{bird.pk}")
    assert "a telling name" not in texts()
    assert is_forgotten(EventRecord.objects.get(type="tests.met").envelope)


# --- What people said of it ---------------------------------------------------------------------------------


@pytest.fixture
def letter(offloaded: Offloaded) -> Delivery:
    """A dead letter of auth.user/5, and one of another kind that is nobody's."""
    offload_fragile(offloaded)
    other, mine = bury("4711", "Ann's secret illness")
    EventRecord.objects.filter(pk=mine.event_id).update(subject="auth.user/5")
    EventRecord.objects.filter(pk=other.event_id).update(subject="auth.user/55")
    return mine


def said() -> set[tuple[str, str, str]]:
    return set(Action.objects.exclude(what="forgotten").values_list("what", "why", "outcome"))


def test_forget__what_was_done_with_its_deliveries__stays_without_why(letter: Delivery) -> None:
    [*redeliver("default", [letter.pk], by="bob", why="Ann is well again")]
    drain()
    note("default", letter.receiver, letter.fingerprint, "Ann called: all is well", by="bob")
    found = forgotten("auth.user/5")
    assert (found.forgotten, found.stopped, found.silenced) == (1, 1, 2)
    assert said() == {("redelivered", "forgotten", ""), ("noted", "forgotten", "")}
    assert set(Action.objects.values_list("by", flat=True)) == {"bob", "ann"}


def test_forget__several_at_once__one_of_them_is_enough(letter: Delivery) -> None:
    other = Delivery.objects.exclude(pk=letter.pk).get(state=State.DEAD)
    [*redeliver("default", [other.pk, letter.pk], by="bob", why="Ann is well again")]
    drain()
    start("default", Chosen(keys=(letter.pk,)), "discarded", by="bob", why="Ann is gone")
    forgotten("auth.user/5")
    assert said() == {("redelivered", "forgotten", ""), ("discarded", "forgotten", "")}


def test_forget__outcome_that_quotes_its_error__goes(letter: Delivery) -> None:
    Delivery.objects.exclude(pk=letter.pk).delete()
    chosen = Chosen(queue=letter.queue)
    job = start("default", chosen, "redelivered", by="bob", why="mended", first_alone=True)
    work("default")
    drain()
    Action.objects.update(next_at=Now())
    work("default")
    assert "Ann's secret illness" in Action.objects.get(pk=job.pk).outcome
    forgotten("auth.user/5")
    assert said() == {("redelivered", "forgotten", "forgotten")}
    assert Action.objects.get(pk=job.pk).state == Action.State.STOPPED


def test_forget__why_its_receiver_was_parked__goes(letter: Delivery) -> None:
    park("default", registry.get(letter.receiver), "all failed: Ann's secret illness")
    forgotten("auth.user/5")
    assert said() == {("parked", "forgotten", "")}
    assert PausedReceiver.objects.get().why == "forgotten"


def test_forget__what_was_said_of_others__stays(letter: Delivery) -> None:
    other = Delivery.objects.exclude(pk=letter.pk).get(state=State.DEAD)
    [*discard("default", [other.pk], by="bob", why="not wanted any more")]
    note("default", other.receiver, other.fingerprint, "about auth.user/55", by="bob")
    PausedReceiver.objects.create(name=letter.receiver, by="bob", why="a deploy")
    before = said()
    assert forgotten("auth.user/5").silenced == 0
    assert said() == before
    assert PausedReceiver.objects.get().why == "a deploy"


def test_forget__text_that_names_the_row__goes(letter: Delivery) -> None:
    other = Delivery.objects.exclude(pk=letter.pk).get(state=State.DEAD)
    note("default", other.receiver, other.fingerprint, "As auth.user/5, who is ill.", by="bob")
    note("default", other.receiver, other.fingerprint, "As auth.user/55, who is ill.", by="bob")
    assert forgotten("auth.user/5").silenced == 1
    assert said() == {("noted", "forgotten", ""), ("noted", "As auth.user/55, who is ill.", "")}


def test_forget__dry_run__leaves_what_was_said(letter: Delivery) -> None:
    note("default", letter.receiver, letter.fingerprint, "Ann called", by="bob")
    assert forgotten("auth.user/5", dry_run=True).silenced == 0
    assert said() == {("noted", "Ann called", "")}


def test_forget__said_after_it_was_forgotten__goes_the_next_time(letter: Delivery) -> None:
    forgotten("auth.user/5")
    note("default", letter.receiver, letter.fingerprint, "Ann called again", by="bob")
    found = forgotten("auth.user/5")
    assert (found.forgotten, found.stopped, found.silenced) == (0, 0, 1)
    assert said() == {("noted", "forgotten", "")}
    assert Action.objects.filter(what="forgotten", target="auth.user/5", count=1).count() == 2
