"""The `EVENTS` setting: every key, its default and its unit. Unknown keys are found by `manage.py check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    QUEUES: tuple[str, ...] = ("default",)
    # Receiver name, or a prefix that ends in "*", to queue: overrides offload(queue=…).
    ROUTES: Mapping[str, str] = field(default_factory=dict)
    SOURCE: str = "/django"
    # Bare field names or "app.Model.field", added to those that look like secrets.
    SENSITIVE_FIELDS: tuple[str, ...] = ()
    # Headers of an HttpRequest that travel with an event.
    REQUEST_HEADERS: tuple[str, ...] = ("User-Agent", "Accept-Language")
    # Bytes of one envelope; a larger one stays in the outbox and its message carries the id alone.
    MAX_INLINE_BYTES: int = 64 * 1024
    # Days a finished event is kept, and a refusal; a task result, where Celery's result_expires is not set.
    RETENTION_DAYS: float = 30.0
    # Days after which a dead letter is reported as forgotten by `manage.py events status`.
    MAX_DEAD_LETTER_AGE: float = 14.0
    # Seconds a delivery may be due before its queue is reported as falling behind.
    MAX_WAIT: float = 300.0
    # A receiver is parked when more than this share of its last runs in a process failed; None: never.
    KILL_SWITCH_SHARE: float | None = 0.8
    # How many last runs; and seconds between two probes of a parked receiver.
    KILL_SWITCH_RUNS: int = 20
    KILL_SWITCH_PROBE: float = 30.0
    # Whether every worker runs a relay in a thread of its own.
    RELAY: bool = True
    # Aliases with an outbox; None is every alias the routers let the bus migrate.
    DATABASES: tuple[str, ...] | None = None
    # Whether PostgreSQL keeps the plans of the bus's own statements. Not behind a PgBouncer that lends connections for
    # a transaction.
    PREPARED_STATEMENTS: bool = False
    # Seconds a receiver may take over one event, unless offload(time_limit=…) says otherwise.
    TIME_LIMIT: float = 300.0
    # Seconds. While runs take less, a worker takes one message more for each process than it runs, and one that has
    # waited as long goes back to its queue; None: never. On Redis.
    LOOK_AHEAD: float | None = 0.05
    # Messages waiting in a queue from which on the emitter leaves its events to the relay.
    WINDOW: int = 64
    # Seconds a publish may take before commits leave their events to the relay. No request waits for it.
    PUBLISH_TIMEOUT: float = 0.2
    # Who scrapes the metrics sends it as a bearer token; "": only users who may see the health page.
    METRICS_TOKEN: str = ""


KNOWN = frozenset(f.name for f in fields(Settings))


@lru_cache(maxsize=1)
def load() -> Settings:
    given = getattr(django_settings, "EVENTS", {})
    if not isinstance(given, Mapping):
        # `manage.py check` says so; it could not run if this raised.
        given = {}
    return Settings(**{key: _frozen(value) for key, value in given.items() if key in KNOWN})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, set)) else value


class _Current:
    """The settings as they are now: read when first used, and anew after `override_settings`."""

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = getattr(load(), name)
        return value


settings: Settings = _Current()  # type: ignore[assignment]  # a typed face for a lazy object


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EVENTS":
        load.cache_clear()
        vars(settings).clear()


setting_changed.connect(_forget, dispatch_uid="events.conf")
