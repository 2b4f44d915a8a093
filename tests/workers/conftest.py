from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from pytest_django import Settings

from project.dev.mail import MailSink


class StrictSink(MailSink):
    """A mail server that answers as it is told to."""

    to_recipient = "250 OK"
    to_message = "250 OK"

    async def handle_RCPT(  # noqa: N802 -- its name in aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        # Kept in any case: what it refused is there to be looked at.
        await super().handle_DATA(server, session, envelope)
        return self.to_message


@pytest.fixture
def sink(tmp_path: Path, settings: Settings) -> Iterator[StrictSink]:
    """A real SMTP server, which Django sends to."""
    with StrictSink(tmp_path / "mail") as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.smtp_port
        yield sink


@pytest.fixture
def media(tmp_path: Path, settings: Settings) -> Path:
    """An empty MEDIA_ROOT of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    (settings.MEDIA_ROOT / "covers").mkdir(parents=True)
    return settings.MEDIA_ROOT
