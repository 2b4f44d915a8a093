from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from events import Skip
from library.models import AuditEntry
from tests.workers.conftest import StrictSink
from tests.workers.occurrences import occurrence
from workers import alerts
from workers.models import Alert

pytestmark = pytest.mark.django_db

FAILURE = {
    "exception": "builtins.ZeroDivisionError",
    "message": "division by zero",
    "traceback": "Traceback (most recent call last): …",
    "route": "book/<slug:slug>/",
    "method": "GET",
    "fingerprint": "f" * 64,
}


def fail(hour: int = 10, minute: int = 0, **changed: str) -> None:
    event = occurrence(time=datetime(2026, 11, 22, hour, minute, 30, tzinfo=UTC))
    alerts.count_failure(None, event=event, **(FAILURE | changed))


def an_alert(**changed: Any) -> Alert:
    return Alert(pk=1, hour=datetime(2026, 11, 22, 10, tzinfo=UTC), **(FAILURE | changed))


def test_count_failure__the_first_one_becomes_an_alert():
    fail(hour=10, minute=59)

    alert = Alert.objects.get()
    assert alert.hour == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert alert.count == 1
    assert {name: getattr(alert, name) for name in FAILURE} == FAILURE


def test_count_failure__the_same_in_that_hour_is_counted():
    fail(minute=0)
    fail(minute=30, message="another id")

    assert Alert.objects.get().count == 2


@pytest.mark.parametrize("changed", [{"hour": 11}, {"fingerprint": "e" * 64}])
def test_count_failure__another_failure_or_hour_is_another_alert(changed: dict[str, Any]):
    fail()
    fail(**changed)

    assert [alert.count for alert in Alert.objects.all()] == [1, 1]


def test_count_failure__names_too_long_for_their_columns_are_cut():
    fail(exception="E" * 500, route="r" * 500, method="PROPFINDALL" * 2)

    Alert.objects.get().full_clean()  # SQLite doesn't hold us to the length, PostgreSQL does


@pytest.mark.django_db(transaction=True)
def test_count_failure__side_by_side_none_is_lost_and_one_is_the_first():
    def count() -> None:
        try:
            for _ in range(5):
                with transaction.atomic():
                    fail()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=4) as workers:
        for done in [workers.submit(count) for _ in range(4)]:
            done.result()

    assert Alert.objects.get().count == 20


def test_is_first__only_a_new_alert_is_mailed():
    assert alerts.is_first(Alert, created=True)
    assert not alerts.is_first(Alert, created=False)


def test_mail_alert__to_every_admin_with_the_traceback(sink: StrictSink, settings: Settings):
    settings.ADMINS = [("Ada", "ada@example.org"), ("Bob", "bob@example.org")]
    settings.EMAIL_SUBJECT_PREFIX = "[Library] "

    alerts.mail_alert(Alert, instance=an_alert(), created=True, event=occurrence())

    [arrived] = sink.mails
    assert arrived.recipients == ["ada@example.org", "bob@example.org"]
    assert arrived.subject == "[Library] builtins.ZeroDivisionError at /book/<slug:slug>/"
    for kind in ("plain", "html"):
        assert "Traceback (most recent call last)" in arrived.body(kind)
        assert "2026-11-22 10:00 UTC" in arrived.body(kind)


def test_mail_alert__the_hour_is_utc_wherever_the_server_stands(sink: StrictSink, settings: Settings):
    settings.TIME_ZONE = "Asia/Tokyo"

    alerts.mail_alert(Alert, instance=an_alert(), created=True, event=occurrence())

    assert "2026-11-22 10:00 UTC" in sink.mails[0].body()


def test_mail_alert__nobody_to_mail_is_skipped(sink: StrictSink, settings: Settings):
    settings.ADMINS = []

    with pytest.raises(Skip, match="ADMINS is empty"):
        alerts.mail_alert(Alert, instance=an_alert(), created=True, event=occurrence())


def test_parked_receiver__one_alert_for_each_and_hour__mailed_without_a_request(
    sink: StrictSink, settings: Settings
):
    settings.ADMINS = [("Ada", "ada@example.org")]
    for name, hour in (("a.b", 10), ("a.b", 10), ("a.b", 11), ("c.d", 10)):
        event = occurrence(time=datetime(2026, 11, 22, hour, 5, tzinfo=UTC))
        alerts.alert_parked_receiver(None, receiver=name, reason="20 of 20 <failed>", event=event)
    assert Alert.objects.count() == 3

    alerts.mail_alert(Alert, instance=Alert.objects.get(exception="c.d is parked"), event=occurrence())

    [arrived] = sink.mails
    assert arrived.subject.endswith("c.d is parked")
    assert "In the hour from 2026-11-22 10:00 UTC" in arrived.body("plain")
    assert "20 of 20 &lt;failed&gt;" in arrived.body("html")


def test_admin_addresses__pairs_and_as_in_django_6_addresses(settings: Settings):
    settings.ADMINS = [("Ada", "ada@example.org")]
    assert alerts.admin_addresses() == ["ada@example.org"]

    settings.ADMINS = ["bob@example.org"]
    assert alerts.admin_addresses() == ["bob@example.org"]


def test_record_slow_request__a_log_line_and_an_audit_entry(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="workers.alerts"):
        alerts.record_slow_request(
            None, method="GET", route="book/<slug:slug>/", milliseconds=1234.5, status=200, event=occurrence()
        )

    assert caplog.messages == ["slow request method=GET route=book/<slug:slug>/ milliseconds=1234 status=200"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == ("request.slow", "GET /book/<slug:slug>/")
    assert entry.changes == {"milliseconds": 1234, "status": 200}


def test_admin__shows_alerts_and_lets_nobody_change_them(client: Client):
    fail()
    client.force_login(User.objects.create_superuser("root"))
    alert = Alert.objects.get()

    assert "ZeroDivisionError" in client.get("/admin/workers/alert/").text
    assert "division by zero" in client.get(f"/admin/workers/alert/{alert.pk}/change/").text
    assert client.get("/admin/workers/alert/add/").status_code == 403
    assert client.post(f"/admin/workers/alert/{alert.pk}/change/", {"count": 5}).status_code == 403
