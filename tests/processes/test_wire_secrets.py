"""What is secret is nowhere but in the row it belongs to: read from the raw bytes of everything that is written."""

from __future__ import annotations

import base64
import json
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django_celery_results.models import TaskResult

from events.models import UNFINISHED, Delivery, EventRecord, State
from events.operations.forgetting import forget
from project.dev.broker import Broker
from tests.processes.conftest import Start, wait_for
from tests.processes.wire import laid_into, unpacked
from tests.shop.models import Effect, Item
from tests.shop.safes import opened
from tests.shop.signals import plain

pytestmark = pytest.mark.django_db(transaction=True)

# What may travel, and is therefore to be found: that the search finds.
CANARY = f"canary{secrets.token_hex(8)}"
PLANTED = {
    name: f"{name}{secrets.token_hex(8)}"
    for name in (
        *("password", "apitoken", "argument", "nested"),
        *("cookie", "header", "query", "path", "body"),
    )
}
QUEUES = "default,audit,emails,recommendations,files,alerts"


def forms(text: str) -> Iterator[bytes]:
    """As it is, and as base64 may have it, whatever stands in front of it."""
    raw = text.encode()
    yield raw
    for shift in range(3):
        # The first and last digits depend on their neighbours.
        yield base64.b64encode(b"\0" * shift + raw)[shift + 1 : -4]


def found(places: dict[str, bytes]) -> list[str]:
    return [
        f"{name} in {place}"
        for place, data in places.items()
        for name, text in PLANTED.items()
        if any(form in data for form in forms(text))
    ]


def emit() -> None:
    item = Item.objects.create(title=CANARY, api_token=PLANTED["apitoken"])
    User.objects.create_user(CANARY, f"{CANARY}@example.org", PLANTED["password"])
    # Not even as it is stored, should somebody store it so.
    user = User.objects.get()
    user.password = PLANTED["password"]
    user.save()
    request = RequestFactory().post(
        f"/{PLANTED['path']}/?q={PLANTED['query']}",
        {"code": PLANTED["body"]},
        headers={"authorization": f"Bearer {PLANTED['header']}", "user-agent": CANARY},
    )
    request.COOKIES["theme"] = PLANTED["cookie"]
    request.META["HTTP_COOKIE"] = f"theme={PLANTED['cookie']}"
    nested = {"api_key": PLANTED["nested"], "note": CANARY}
    plain.send(
        sender=None, request=request, token=PLANTED["argument"], options=nested, item=item, note=CANARY
    )
    opened.send(item=item, note=CANARY)


def broker_bytes(broker: Broker) -> bytes:
    """Every key by itself, and what the server writes to its disk."""
    client = broker.client()
    # Compressed, no text could be found in it.
    client.config_set("rdbcompression", "no")
    client.save()
    config = client.config_get("dir") | client.config_get("dbfilename")
    dumps = [client.dump(key) or b"" for key in client.keys("*")]
    lists = [
        raw for key in client.keys("*") if client.type(key) == b"list" for raw in client.lrange(key, 0, -1)
    ]
    # And what is in them: compressed, no text could be found there either.
    bodies = [unpacked(json.loads(raw)["body"]) for raw in lists]
    file = Path(config["dir"], config["dbfilename"])
    return b"\n".join([*dumps, *lists, *bodies, file.read_bytes()])


def database_bytes() -> bytes:
    """All of it, without the rows that the secrets belong to."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # What is deleted stays in a file until it is written anew.
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            file = Path(connection.settings_dict["NAME"])
            return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
        texts = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - its own names
            texts += [repr(row) for row in cursor.fetchall()]
        return "\n".join(texts).encode()


def test_secrets__are_in_no_broker_table_result_or_log(
    start_worker: Start, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with laid_into(*QUEUES.split(",")):
        emit()
    places = {"the broker": broker_bytes(broker)}
    assert CANARY.encode() in places["the broker"]

    worker = start_worker("-Q", QUEUES, "-l", "DEBUG")
    wait_for(lambda: Delivery.objects.filter(state=State.DEAD).exists(), "the failure that holds a secret")
    wait_for(all_finished, "every delivery", log=worker.log)
    Item.objects.all().delete()
    User.objects.all().delete()
    wait_for(all_finished, "what came of the deletions", log=worker.log)
    worker.stop()

    places["the broker, afterwards"] = broker_bytes(broker)
    places["the database"] = database_bytes()
    places["the worker's log"] = worker.log.read_bytes()
    places["our log"] = caplog.text.encode()
    for place in ("the database", "the worker's log"):
        assert CANARY.encode() in places[place]
    assert found(places) == []


def all_finished() -> bool:
    receivers = sum(map(len, EventRecord.objects.values_list("receivers", flat=True)))
    return receivers == Delivery.objects.exclude(state__in=UNFINISHED).count()


def test_forgotten_while_the_broker_has_it__does_not_run(start_worker: Start, broker: Broker) -> None:
    with laid_into("default", "audit"):
        item = Item.objects.create(title=CANARY)
    assert CANARY.encode() in broker_bytes(broker)
    assert [*forget("default", f"shop.item/{item.pk}", by="ann")][-1].stopped == 2
    Item.objects.all()._raw_delete("default")
    start_worker()
    # Its copy goes with the message: taken, and not run.
    results = TaskResult.objects.filter(result__contains="elsewhere")
    wait_for(lambda: results.count() == 2, "the end of both")
    assert not Effect.objects.exists()
    assert CANARY.encode() not in broker_bytes(broker) + database_bytes()


def test_results__hold_no_arguments_at_all(start_worker: Start) -> None:
    start_worker()
    Item.objects.create(title=CANARY)
    wait_for(lambda: TaskResult.objects.filter(status="SUCCESS").count() == 2, "both results")
    rows = "\n".join(map(repr, TaskResult.objects.values_list()))
    # Of who ran what and when, everything; and of what it was about, the id.
    assert str(EventRecord.objects.get().pk) in rows
    assert CANARY not in rows
