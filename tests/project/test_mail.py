from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.mail import EmailMultiAlternatives

from project.dev.mail import MailSink
from project.dev.ports import free_port


def send(port: int, subject: str, text: str = "Hello", to: str = "reader@example.org") -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
        server.sendmail("library@example.org", [to], f"Subject: {subject}\r\nTo: {to}\r\n\r\n{text}")


def test_mail_sink__keeps_what_django_sends(smtp_sink: MailSink) -> None:
    mail = EmailMultiAlternatives("Grüße", "Plain", to=["a@example.org"], bcc=["b@example.org"])
    mail.attach_alternative("<p>Rich</p>", "text/html")
    mail.send()

    [kept] = smtp_sink.mails
    assert kept.subject == "Grüße"
    assert kept.recipients == ["a@example.org", "b@example.org"]
    assert kept.body("plain").strip() == "Plain"
    assert kept.body("html").strip() == "<p>Rich</p>"
    assert kept.path.name == "000001-Grüße.eml"


def test_mail_sink__keeps_a_message_that_comes_twice_twice(smtp_sink: MailSink) -> None:
    for _ in range(2):
        send(smtp_sink.smtp_port, "Again")

    assert [(mail.number, mail.subject) for mail in smtp_sink.mails] == [(1, "Again"), (2, "Again")]


def test_mail_sink__goes_on_counting_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        with MailSink(tmp_path) as sink:
            send(sink.smtp_port, "One more")

    assert [mail.number for mail in sink.mails] == [1, 2]


def test_mail_sink__subject_cannot_choose_the_directory(smtp_sink: MailSink) -> None:
    send(smtp_sink.smtp_port, "../../etc/passwd")

    [kept] = smtp_sink.mails
    assert kept.path.parent == smtp_sink.directory


def test_mail_sink__waiting_says_what_is_there_when_time_is_up(smtp_sink: MailSink) -> None:
    send(smtp_sink.smtp_port, "Only this")

    with pytest.raises(TimeoutError, match=r"here so far: \['Only this'\]"):
        smtp_sink.wait_for(lambda mails: len(mails) == 2, timeout=0.05)


@dataclass(frozen=True)
class Mailbox:
    smtp_port: int
    page: str
    process: subprocess.Popen[str]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.page + path, timeout=10) as answer:  # noqa: S310 -- our own server
            text: str = answer.read().decode()
            return text


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    smtp_port, port = free_port(), free_port()
    env = os.environ | {
        "SMTP_PORT": str(smtp_port),
        "MAIL_PORT": str(port),
        "MAIL_DIR": str(tmp_path / "the mail"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "project.dev.mailbox"], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        assert "messages are kept in" in process.stdout.readline()
        yield Mailbox(smtp_port, f"http://127.0.0.1:{port}", process)
        process.terminate()


def test_mailbox__shows_messages_and_runs_nothing_they_hold(mailbox: Mailbox) -> None:
    send(mailbox.smtp_port, "<script>alert(1)</script>", text="<b>bold</b>")

    assert "&lt;script&gt;" in mailbox.get("/")
    assert "<script>" not in mailbox.get("/") + mailbox.get("/1")
    assert "&lt;b&gt;bold" in mailbox.get("/1")
    assert "Subject: <script>" in mailbox.get("/1.eml")


def test_mailbox__lists_messages_as_json(mailbox: Mailbox) -> None:
    assert json.loads(mailbox.get("/messages.json")) == []
    send(mailbox.smtp_port, "Hello")

    [mail] = json.loads(mailbox.get("/messages.json"))
    assert (mail["subject"], mail["to"], mail["text"].strip()) == ("Hello", ["reader@example.org"], "Hello")


def test_mailbox__stops_when_asked(mailbox: Mailbox) -> None:
    mailbox.process.terminate()

    assert mailbox.process.wait(10) == 0
