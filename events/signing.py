"""A message is signed when it is published, never in the table: a key rotation must not kill old rows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.core.signals import setting_changed

_PURPOSE = b"events.message.v1"


def sign(*parts: str) -> str:
    """HMAC-SHA256 over `parts`, in hexadecimal, with SECRET_KEY."""
    return _digest(_keys()[0], parts)


def verify(signature: str, *parts: str) -> bool:
    """Whether SECRET_KEY or one of SECRET_KEY_FALLBACKS made `signature`."""
    return any(hmac.compare_digest(_digest(key, parts), signature) for key in _keys())


def _digest(key: bytes, parts: Sequence[str]) -> str:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode()
        # The length in front: no two lists of parts sign alike.
        mac.update(b"%d:" % len(data))
        mac.update(data)
    return mac.hexdigest()


@lru_cache(maxsize=1)
def _keys() -> tuple[bytes, ...]:
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(
        hashlib.sha256(_PURPOSE + (secret if isinstance(secret, bytes) else secret.encode())).digest()
        for secret in secrets
    )


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _keys.cache_clear()


setting_changed.connect(_forget, dispatch_uid="events.signing")
