from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import ResolverMatch

from events.serializers import RequestInfo, dump_value
from tests.events.serializers.captured import round_trip

SessionStore = import_module(django_settings.SESSION_ENGINE).SessionStore


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def request(**extra: Any) -> HttpRequest:
    made = RequestFactory().post(
        "/books/the-title/?token=q",
        {"body": "posted"},
        headers={
            "user-agent": "Browser",
            "cookie": "sessionid=c",
            "authorization": "Bearer a",
            "x-trace": "t",
        },
    )
    made.resolver_match = ResolverMatch(page, (), {"slug": "the-title"}, route="books/<slug:slug>/")
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def test_request__becomes_method_route_and_chosen_headers(settings: Any) -> None:
    settings.EVENTS = {"REQUEST_HEADERS": ["User-Agent", "Accept-Language"]}
    assert round_trip(request()) == RequestInfo(
        method="POST", route="books/<slug:slug>/", user_id=None, headers={"User-Agent": "Browser"}
    )


def test_request__leaves_path_query_cookies_and_body_behind(settings: Any) -> None:
    settings.EVENTS = {"REQUEST_HEADERS": ["X-Trace", "Cookie", "Authorization", "X-CSRFToken"]}
    text = str(dump_value(request(), path="request"))
    for secret in ("the-title", "token=q", "posted", "sessionid", "Bearer"):
        assert secret not in text
    assert "'X-Trace': 't'" in text


def test_request__that_matched_no_route_has_none() -> None:
    assert round_trip(HttpRequest()) == RequestInfo(method="", route="", user_id=None, headers={})


def test_request__info_can_be_sent_on() -> None:
    info = RequestInfo.of(request())
    assert round_trip([info]) == [info]


def test_user__that_was_loaded_is_named() -> None:
    assert RequestInfo.of(request(user=get_user_model()(pk=5))).user_id == "5"
    assert RequestInfo.of(request(user=AnonymousUser())).user_id is None


@pytest.mark.django_db
def test_user__is_never_loaded_for_it(django_assert_num_queries: Any) -> None:
    user = get_user_model().objects.create(username="ann")
    made = request(session=SessionStore())
    made.user = AnonymousUser()
    login(made, user, backend="django.contrib.auth.backends.ModelBackend")
    made.session.save()
    again = request(session=SessionStore(made.session.session_key))
    AuthenticationMiddleware(page).process_request(again)

    with django_assert_num_queries(0):
        assert RequestInfo.of(again).user_id is None
    assert again.session.accessed is False
    assert again.session.get("nothing") is None  # which loads the session
    with django_assert_num_queries(0):
        assert RequestInfo.of(again).user_id == str(user.pk)
    assert again.user.is_authenticated  # which loads the user
    with django_assert_num_queries(0):
        assert RequestInfo.of(again).user_id == str(user.pk)
