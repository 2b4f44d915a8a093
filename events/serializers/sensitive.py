"""Names whose values never leave the process."""

from __future__ import annotations

import re
from functools import lru_cache

from django.core.signals import setting_changed
from django.db.models import Field, Model

from events.conf import settings

_NOUNS = "password|passwd|passphrase|passcode|pwd|secret|token|key|session|credential|otp|totp|cookie"
_OTHERS = "cvv|cvc|jwt|csrf|bearer|authorization"
# Words that people write as one: "apikey", "sessionid".
_GLUED = "(api|auth|access|private|secret|refresh|csrf|session)(key|token)|sessionid"
_SENSITIVE = re.compile(rf"({_NOUNS}|{_GLUED})s?|{_OTHERS}")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A dict is often a map under a bare "key": only a named one ("api_key") is a secret there.
_PLAIN_IN_DICTS = frozenset({"key", "keys"})


@lru_cache(maxsize=4096)
def is_sensitive(name: str) -> bool:
    """Whether a field, header or argument of this name holds a secret, by the words it is made of."""
    if name in settings.SENSITIVE_FIELDS:
        return True
    return any(_SENSITIVE.fullmatch(word.lower()) is not None for word in _PARTS.findall(name))


def is_sensitive_key(key: object) -> bool:
    """The same for the key of a dict."""
    return isinstance(key, str) and key.lower() not in _PLAIN_IN_DICTS and is_sensitive(str.__str__(key))


def is_sensitive_field(field: Field[object, object], model: type[Model]) -> bool:
    """By its own name, by "app.Model.field" in the settings, or because it refers to a sensitive field."""
    listed = {name.lower() for name in settings.SENSITIVE_FIELDS}
    owners = {model._meta.label_lower, getattr(field, "model", model)._meta.label_lower}
    if is_sensitive(field.name) or any(f"{owner}.{field.name}".lower() in listed for owner in owners):
        return True
    target = getattr(field, "target_field", None) if field.remote_field else None
    return target is not None and is_sensitive_field(target, target.model)


def holds_sensitive_key(value: object) -> bool:
    """Whether a sensitive name is a key anywhere inside nested dicts and lists."""
    if isinstance(value, dict):
        return any(is_sensitive_key(key) or holds_sensitive_key(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(holds_sensitive_key(item) for item in value)
    return False


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EVENTS":
        is_sensitive.cache_clear()


setting_changed.connect(_forget, dispatch_uid="events.serializers.sensitive")
