"""A mail server that is down, and comes back: thousands of mails wait for it, and use up next to no tries."""

from __future__ import annotations

import time
from collections import defaultdict
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum

from events.conf import Settings
from events.models import Action, Delivery, PausedReceiver, State
from project.dev.mail import MailSink
from project.dev.ports import free_port
from tests.processes.conftest import PATIENCE, Start, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = "workers.emails.send_welcome_email"
READERS = 2_000
PROCESSES = 2
# Seconds between two probes, and so at most one for each of them that passes.
PROBE = 1.0


class Counting(MailSink):
    """Keeps no files: thousands of them take longer than the mails."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, port)
        # Address → subjects of what arrived for it.
        self.arrived: dict[str, list[str]] = defaultdict(list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        content = envelope.content
        assert isinstance(content, bytes)
        subject = str(message_from_bytes(content, policy=policy.default)["Subject"])
        for address in envelope.rcpt_tos:
            self.arrived[address].append(subject)
        return "250 Message stored"


def tries() -> int:
    return Delivery.objects.filter(receiver=MAIL).aggregate(all=Sum("tries"))["all"] or 0


def test_mail_server_is_down__its_receiver_is_parked_and_probed__and_all_arrive_when_it_is_back(
    start_worker: Start, tmp_path: Path
) -> None:
    port = free_port()
    worker = start_worker(
        *("-Q", "emails,alerts,default", "-c", str(PROCESSES)),
        EMAIL_URL=f"smtp://127.0.0.1:{port}",
        TEST_KILL_SWITCH_PROBE=str(PROBE),
    )
    began = time.monotonic()
    with transaction.atomic():
        for number in range(READERS):
            User.objects.create(username=f"reader{number}", email=f"reader{number}@example.org")
    parked = PausedReceiver.objects.filter(name=MAIL, probe_at__isnull=False)
    wait_for(parked.exists, "the receiver is parked", log=worker.log)
    assert "ConnectionRefusedError" in parked.get().why
    wait_for(parked.filter(probe__isnull=False).exists, "a probe", log=worker.log)
    before = tries()
    wait_for(lambda: tries() > before, "another one, that failed", log=worker.log)
    assert parked.exists()

    with Counting(tmp_path / "mails", port) as sink:
        done = Delivery.objects.filter(receiver=MAIL, state=State.DONE)
        wait_for(lambda: done.count() == READERS, "all mails are delivered", 3 * PATIENCE, worker.log)
        lasted = time.monotonic() - began
        wait_for(lambda: sink.arrived["librarian@example.org"], "the alert", log=worker.log)

    assert not PausedReceiver.objects.exists()
    # What each process needs to notice, and one for each probe: not one for each mail, let alone for each backoff.
    assert tries() <= PROCESSES * Settings().KILL_SWITCH_RUNS + lasted / PROBE + 1
    assert not Delivery.objects.filter(state=State.DEAD).exists()
    assert len([address for address in sink.arrived if address.startswith("reader")]) == READERS
    assert f"{MAIL} is parked" in sink.arrived["librarian@example.org"][0]
    told = Action.objects.order_by("pk").values_list("by", "what")
    assert list(told) == [("kill switch", "parked"), ("kill switch", "resumed")]
