from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from events.serializers import is_sensitive, plan_for
from tests.events.serializers.captured import copied, rebuilt
from tests.zoo.models import Secretive, SecretlyKeyed


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "old_password", "passwordHash", "password2", "passwd", "passphrase",
        "token", "tokens", "api_token", "accessToken", "CSRFToken", "secret", "clientSecrets",
        "key", "keys", "api_key", "APIKey", "X-Api-Key", "apikey", "private_keys",
        "session", "session_id", "sessionid", "sessions", "credential", "awsCredentials", "otp", "otp_code",
        "cookie", "Authorization",
    ],
)  # fmt: skip
def test_name__that_looks_like_a_secret(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    ["", "name", "keyboard", "monkey", "turkey", "author", "tokenizer", "passenger", "compass", "secretary",
     "description", "obsession", "user", "author_id", "title", "is_featured", "added_by"],
)  # fmt: skip
def test_name__that_does_not(name: str) -> None:
    assert not is_sensitive(name)


def test_name__added_by_the_project(settings: Any) -> None:
    assert not is_sensitive("diagnosis")
    settings.EVENTS = {"SENSITIVE_FIELDS": ["diagnosis"]}
    assert is_sensitive("diagnosis")
    settings.EVENTS = {}
    assert not is_sensitive("diagnosis")


@pytest.mark.parametrize("listed", ["diagnosis", "zoo.Secretive.diagnosis", "zoo.secretive.diagnosis"])
def test_field__added_by_the_project_stays_at_home(listed: str, settings: Any) -> None:
    assert "diagnosis" in plan_for(Secretive).take(Secretive(pk=1), created=True).data
    settings.EVENTS = {"SENSITIVE_FIELDS": [listed]}
    assert "diagnosis" not in plan_for(Secretive).take(Secretive(pk=1), created=True).data


def test_field__added_for_one_model_is_not_for_others(settings: Any) -> None:
    settings.EVENTS = {"SENSITIVE_FIELDS": ["zoo.Specimen.diagnosis"]}
    assert "diagnosis" in plan_for(Secretive).take(Secretive(pk=1), created=True).data


@pytest.mark.django_db
def test_field__that_looks_like_a_secret_is_deferred_on_the_worker() -> None:
    row = Secretive.objects.create(name="x", password="p4ss", api_token="t0ken")
    snapshot = plan_for(Secretive).take(row, created=True)
    assert not {"p4ss", "t0ken"} & set(map(str, snapshot.data.values()))
    arrived = rebuilt(Secretive, snapshot)
    assert arrived.get_deferred_fields() == {"password", "api_token"}
    assert arrived.api_token == "t0ken"


def test_field__in_an_event_of_an_older_version_is_left_alone() -> None:
    assert "password" not in vars(plan_for(Secretive).rebuild({"id": 1, "password": "p"}, "default"))


def test_user__travels_without_the_password() -> None:
    user = get_user_model()(pk=1, username="ann", password="hash", date_joined=timezone.now())
    assert copied(user).get_deferred_fields() == {"password"}


def test_key__that_is_a_secret_stays_at_home_and_the_instance_can_be_shown() -> None:
    arrived = copied(SecretlyKeyed(session_key="s3ssion"))
    assert (arrived.pk, str(arrived)) == (None, "SecretlyKeyed object (None)")


def test_session__travels_without_its_key_and_data() -> None:
    arrived = copied(Session(session_key="s3ssion", session_data="d", expire_date=timezone.now()))
    assert (arrived.pk, set(vars(arrived)) & {"session_data", "expire_date"}) == (None, {"expire_date"})


@pytest.mark.parametrize("notes", [{"password": "p"}, [{"a": [{"api_key": "k"}]}]])
@pytest.mark.django_db
def test_json__that_holds_a_secret_is_withheld_whole(notes: Any) -> None:
    # Without the one key it would look whole, and saving it would erase the secret.
    row = Secretive.objects.create(name="x", notes=notes)
    snapshot = plan_for(Secretive).take(row, created=False)
    assert snapshot.withheld == ("notes",)
    assert rebuilt(Secretive, snapshot).notes == notes


def test_json__may_have_a_plain_key() -> None:
    assert copied(Secretive(pk=1, notes={"key": 1, "keys": [2]})).notes == {"key": 1, "keys": [2]}
