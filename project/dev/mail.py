"""An SMTP server that keeps every message where a person or a test can read it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from project.dev.ports import LOOPBACK, free_port

# It tells of every connection that comes and goes.
logging.getLogger("mail.log").setLevel(logging.WARNING)

MAX_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it arrived. `number` counts arrivals, so a message sent twice is here twice."""

    number: int
    path: Path

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.path.read_bytes(), policy=policy.default)
        assert isinstance(parsed, EmailMessage)  # noqa: S101 -- policy.default makes no other
        return parsed

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def recipients(self) -> list[str]:
        return [address.strip() for address in str(self.message["X-Envelope-To"]).split(",")]

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"] or "")

    def body(self, kind: str = "plain") -> str:
        """The text of the first `text/<kind>` part, or nothing."""
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part else ""


class MailSink:
    """Listens on `smtp_port` of this machine, stores messages as `.eml` files in `directory`."""

    host = LOOPBACK

    def __init__(
        self, directory: Path, smtp_port: int | None = None, on_mail: Callable[[Mail], None] | None = None
    ) -> None:
        self.directory = directory
        self.smtp_port = smtp_port or free_port()
        self._on_mail = on_mail
        self._arrived = threading.Condition()
        self._controller = Controller(
            self, hostname=self.host, port=self.smtp_port, data_size_limit=MAX_BYTES, ready_timeout=10
        )

    @property
    def url(self) -> str:
        """For EMAIL_URL."""
        return f"smtp://{self.host}:{self.smtp_port}"

    @property
    def mails(self) -> list[Mail]:
        """Oldest first."""
        return [Mail(int(path.name.split("-")[0]), path) for path in sorted(self.directory.glob("*.eml"))]

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.mails if address in mail.recipients]

    def wait_for(self, condition: Callable[[list[Mail]], bool], timeout: float = 10) -> list[Mail]:
        """The messages, as soon as they meet the condition; TimeoutError after `timeout` seconds."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: condition(self.mails), timeout):
                raise TimeoutError(f"{timeout} s passed; here so far: {[m.subject for m in self.mails]}")
        return self.mails

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- its name
        mail = self._store(envelope)
        if self._on_mail:
            self._on_mail(mail)
        return "250 Message stored"

    def _store(self, envelope: Envelope) -> Mail:
        content = envelope.content
        assert isinstance(content, bytes)  # noqa: S101 -- we don't ask for decoded data
        with self._arrived:
            number = max((mail.number for mail in self.mails), default=0) + 1
            subject = message_from_bytes(content, policy=policy.default)["Subject"]
            slug = re.sub(r"\W+", "-", str(subject or "no subject"))[:60].strip("-")
            path = self.directory / f"{number:06}-{slug}.eml"
            # Bcc leaves no trace in the headers: who it was delivered to is in the SMTP envelope only.
            header = f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n".encode()
            part = path.with_suffix(".part")
            part.write_bytes(header + content)
            part.rename(path)  # readers never see half a message
            self._arrived.notify_all()
        return Mail(number, path)

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
