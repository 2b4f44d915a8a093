from __future__ import annotations

from smtplib import SMTPDataError, SMTPRecipientsRefused

import pytest
from django.conf import settings
from pytest_django import Settings

from events import Skip
from project.dev.ports import free_port
from tests.workers.conftest import StrictSink
from workers import mail
from workers.models import Alert


def send(to: str = "ada@example.org", key: str = "key") -> None:
    alert = Alert(
        exception="builtins.ValueError", message="<b>", traceback="Traceback…", route="book/<slug>/"
    )
    mail.send("alert", to=[to], subject="Größe", key=key, context={"alert": alert})


def test_send__a_plain_and_an_html_part(sink: StrictSink):
    send()

    [arrived] = sink.to("ada@example.org")
    assert arrived.message.get_content_type() == "multipart/alternative"
    assert arrived.subject == "Größe"
    assert arrived.body("plain").splitlines()[0] == "builtins.ValueError: <b>"
    assert "builtins.ValueError: &lt;b&gt;</h1>" in arrived.body("html")
    assert arrived.message["Auto-Submitted"] == "auto-generated"


def test_send__a_second_try_has_the_same_message_id_another_delivery_another(sink: StrictSink):
    send(key="one")
    send(key="one")
    send(key="two")

    first, second, other = (arrived.message_id for arrived in sink.mails)
    assert first == second
    assert first != other
    assert first.endswith("@example.org>")


def test_message_id__any_key_fits_into_a_header():
    key = "0192f0c1-7b7e-7aaa-8000-000000000000:workers.emails.send <welcome> é" * 10

    assert len(mail.message_id(key, settings.DEFAULT_FROM_EMAIL)) < 70
    assert mail.message_id(key, settings.DEFAULT_FROM_EMAIL).isascii()


def test_message_id__is_not_the_machines():
    assert mail.message_id("key", "Library <library@books.example>").endswith("@books.example>")
    assert mail.message_id("key", "library").endswith("@localhost>")


@pytest.mark.parametrize("reply", ["550 No such user", "553 Not here"])
def test_send__a_recipient_refused_for_good_is_undeliverable(sink: StrictSink, reply: str):
    sink.to_recipient = reply

    with pytest.raises(mail.Undeliverable, match=reply[4:]):
        send()


def test_send__a_recipient_refused_for_now_is_worth_another_try(sink: StrictSink):
    sink.to_recipient = "450 Greylisted, come back later"

    with pytest.raises(SMTPRecipientsRefused):
        send()


def test_send__a_message_refused_for_good_is_undeliverable(sink: StrictSink):
    sink.to_message = "554 Looks like spam"

    with pytest.raises(mail.Undeliverable, match="spam"):
        send()


def test_send__a_message_refused_for_now_is_worth_another_try(sink: StrictSink):
    sink.to_message = "452 Disk full"

    with pytest.raises(SMTPDataError):
        send()


def test_send__a_server_that_is_down_is_worth_another_try(sink: StrictSink, settings: Settings):
    settings.EMAIL_PORT = free_port()

    with pytest.raises(ConnectionRefusedError):
        send()


@pytest.mark.parametrize(
    "address", ["nobody", "a b@example.org", "ada@example.org\nBcc: eve@example.org", "ada@"]
)
def test_send__what_is_no_address_is_skipped(sink: StrictSink, address: str):
    with pytest.raises(Skip, match="no e-mail address"):
        send(to=address)

    assert sink.mails == []
