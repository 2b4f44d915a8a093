"""One mail to one person: a plain and an HTML part, and an identity that a second try keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from smtplib import SMTPDataError, SMTPNotSupportedError, SMTPRecipientsRefused
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from events import Skip

PERMANENT = 500  # SMTP replies from here on say "never"; 4xx (greylisting, mailbox full) say "later"


class Undeliverable(Exception):
    """The mail server refused this address or this message for good: trying again can't help."""


def send(
    template: str,
    *,
    to: Sequence[str],
    subject: str,
    key: str,
    context: Mapping[str, Any],
    sender: str | None = None,
) -> None:
    """Send `workers/<template>.txt` and `.html` as one mail; the same `key` makes the same Message-ID.

    Skips what is no address. Raises `Undeliverable` where the server says never, and whatever the
    connection raises where another try may succeed.
    """
    for address in to:
        require_address(address)
    sender = sender or settings.DEFAULT_FROM_EMAIL
    message = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string(f"workers/{template}.txt", dict(context)).strip() + "\n",
        from_email=sender,
        to=list(to),
        headers={"Message-ID": message_id(key, sender), "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string(f"workers/{template}.html", dict(context)), "text/html")
    deliver(message)


def deliver(message: EmailMultiAlternatives) -> None:
    try:
        message.send()
    except (SMTPRecipientsRefused, SMTPDataError, SMTPNotSupportedError) as refusal:
        if is_final(refusal):
            raise Undeliverable(str(refusal)) from refusal
        raise


def is_final(refusal: SMTPRecipientsRefused | SMTPDataError | SMTPNotSupportedError) -> bool:
    if isinstance(refusal, SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _ in refusal.recipients.values())
    return not isinstance(refusal, SMTPDataError) or refusal.smtp_code >= PERMANENT


def message_id(key: str, sender: str) -> str:
    """The same for every try of one delivery, on every machine: its domain is the sender's."""
    # A key may hold what a Message-ID may not, and a long one would be folded: a UUID made from it is safe.
    domain = parseaddr(sender)[1].partition("@")[2] or "localhost"
    return f"<{uuid5(NAMESPACE_URL, key)}@{domain}>"


def require_address(address: str) -> None:
    try:
        validate_email(address)
    except ValidationError as error:
        raise Skip(f"{address!r} is no e-mail address") from error
