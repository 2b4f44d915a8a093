from __future__ import annotations

from datetime import datetime

from django.utils import timezone

# Characters.
_LOGGED = 2_000


def storable(text: str) -> str:
    """No database stores half a character, nor PostgreSQL a NUL: the text says what was there."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


def shortened(error: BaseException) -> str:
    """What an error says of itself, for a log: it may quote all of an event."""
    try:
        text = repr(error)
    except Exception:  # noqa: BLE001 - a project's own
        return type(error).__qualname__
    half = _LOGGED // 2
    return text if len(text) <= _LOGGED else f"{text[:half]} … {len(text)} characters … {text[-half:]}"


def last_line(error: str) -> str:
    """What a traceback says: its last line that isn't blank."""
    lines = [line for line in error.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def unquoted(text: str) -> str:
    """What we say ourselves: the words of an error, which may hold anything, come after a colon."""
    ours, colon, _ = text.partition(": ")
    return f"{ours}: …" if colon else text


def local(at: datetime) -> datetime:
    """As a person's clock shows it; where USE_TZ is off it is that already."""
    return timezone.localtime(at) if timezone.is_aware(at) else at


def duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0) * 1000:.0f} ms"
