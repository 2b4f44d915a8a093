from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from library.signals import user_registered

pytestmark = pytest.mark.django_db
REGISTER = reverse("library:register")
PASSWORD = "correct horse battery"
VALID = {"username": "noor", "email": "noor@example.org", "password1": PASSWORD, "password2": PASSWORD}


def test_register__makes_the_user_and_everything_else_follows(client: Client, heard: Any) -> None:
    with heard(user_registered) as calls:
        response = client.post(REGISTER, VALID, follow=True)
    user = get_user_model().objects.get()
    assert [call["user"] for call in calls] == [user]
    assert (user.email, user.profile.books_read, user.groups.get().name) == (
        "noor@example.org",
        0,
        "Students",
    )
    assert response.redirect_chain == [("/accounts/login/", 302)]
    assert "Welcome, noor!" in response.text


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"username": "rosa"}, "username", "already exists"),
        ({"username": ""}, "username", "required"),
        ({"email": ""}, "email", "Give an e-mail address"),
        ({"email": "nonsense"}, "email", "valid email"),
        ({"password2": "another"}, "password2", "match"),
        ({"password1": "12345", "password2": "12345"}, "password2", "too short"),
    ],
)
def test_register__explains_what_is_wrong(
    client: Client, reader: User, heard: Any, change: dict[str, str], field: str, reason: str
) -> None:
    with heard(user_registered) as calls:
        response = client.post(REGISTER, VALID | change)
    assert response.status_code == 422
    assert reason in " ".join(response.context["form"].errors[field])
    assert not calls
    assert get_user_model().objects.count() == 1


def test_register__one_who_is_logged_in_goes_to_the_shelf(reader_client: Client) -> None:
    assert reader_client.get(REGISTER).headers["Location"] == "/shelf/"


def test_log_in__leads_to_the_page_one_came_for(client: Client, reader: User) -> None:
    data = {"username": "rosa", "password": "a-long-password", "next": "/add/"}
    assert client.post(reverse("login"), data).headers["Location"] == "/add/"
    assert "Log out" in client.get("/").text


def test_log_in__a_wrong_password_is_explained(client: Client, reader: User) -> None:
    response = client.post(reverse("login"), {"username": "rosa", "password": "wrong"})
    assert "Please enter a correct username and password" in response.text


def test_log_in__leads_nowhere_else(client: Client, reader: User) -> None:
    data = {"username": "rosa", "password": "a-long-password", "next": "https://example.org/"}
    assert client.post(reverse("login"), data).headers["Location"] == "/shelf/"


def test_log_out__leads_to_the_catalogue(reader_client: Client) -> None:
    assert reader_client.post(reverse("logout")).headers["Location"] == "/"
    assert reader_client.get("/shelf/").status_code == 302


def test_log_in__uses_our_page(client: Client, rendered: Callable[[], list[str]]) -> None:
    assert "The Lending Library" in client.get(reverse("login")).text
    assert rendered()[:2] == ["registration/login.html", "library/base.html"]
