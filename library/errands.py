"""What a reader's action set going is shown on the next page: the message carries a token for it, see base.html."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest

from events.context import correlation_id

_SALT = "library.errands"
# Seconds a page may ask for.
MAX_AGE = 600


def tell(request: HttpRequest, text: str) -> None:
    """A message of success, beside which the reader sees what the workers do about it."""
    correlation = correlation_id()
    token = signing.dumps(correlation.hex, salt=_SALT) if correlation else ""
    messages.success(request, text, extra_tags=token)


def read_token(token: str) -> UUID | None:
    """The correlation id of the request that made it; None for one that is forged, altered or too old."""
    try:
        return UUID(signing.loads(token, salt=_SALT, max_age=MAX_AGE))
    except signing.BadSignature:
        return None
