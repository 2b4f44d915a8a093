"""Celery's settings, as the project's app has them: those that decide whether anything is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from celery import Celery
from django.core import checks

from events.registry import Receiver, registry
from events.timing import limits
from events.transport.connecting import celery_app

# Celery's name for the app it makes where nobody has set one.
_FALLBACK = "default"


@checks.register("offload")
def check_celery(**kwargs: Any) -> list[checks.CheckMessage]:
    app = _app_of_a_new_thread()
    if app is not celery_app() or app.main == _FALLBACK:
        return [
            checks.Error(
                "A new thread doesn't find the project's Celery app, so what it emits would go to no broker.",
                hint="Call app.set_default() where the app is made, and import it in the project's __init__.py.",
                id="offload.E010",
            )
        ]
    rules: tuple[Callable[[Celery], Iterator[checks.CheckMessage]], ...] = (
        _formats,
        _acknowledging,
        _prefetching,
        _brokers,
        _broker_options,
        _connections,
        _rates,
        _children,
    )
    return [message for rule in rules for message in rule(app)]


def _app_of_a_new_thread() -> Celery:
    # The thread that makes an app finds it in any case; requests and the relay run in others.
    found: list[Celery] = []
    thread = threading.Thread(target=lambda: found.append(celery_app()))
    thread.start()
    thread.join()
    return found[0]


def _formats(app: Celery) -> Iterator[checks.CheckMessage]:
    for name, value, wanted in (
        ("task_serializer", app.conf.task_serializer, "json"),
        ("accept_content", app.conf.accept_content, ["json"]),
    ):
        given = {_format(item) for item in ([value] if isinstance(value, str) else value or ())}
        if given != {"json"}:
            yield checks.Error(
                f"Celery's {name} is {value!r}: messages of the bus are JSON, and a worker that takes pickle runs "
                f"whatever the broker holds.",
                hint=f"Set CELERY_{name.upper()} = {wanted!r}.",
                id="offload.E011",
            )


def _format(name: str) -> str:
    return "json" if name == "application/json" else name


def _acknowledging(app: Celery) -> Iterator[checks.CheckMessage]:
    if not app.conf.task_acks_late:
        yield checks.Error(
            "Celery's task_acks_late is off: a message would be gone from the broker before it is worked off.",
            hint="Set CELERY_TASK_ACKS_LATE = True.",
            id="offload.E012",
        )
    if app.conf.task_reject_on_worker_lost:
        yield checks.Error(
            "Celery's task_reject_on_worker_lost is on: a receiver that ends its process would run again and again.",
            hint="Set CELERY_TASK_REJECT_ON_WORKER_LOST = False: the relay brings it back, and counts its tries.",
            id="offload.E013",
        )


def _prefetching(app: Celery) -> Iterator[checks.CheckMessage]:
    if app.conf.worker_prefetch_multiplier != 1:
        yield checks.Error(
            f"Celery's worker_prefetch_multiplier is {app.conf.worker_prefetch_multiplier}: messages would wait "
            f"behind a slow one while other processes are idle.",
            hint="Set CELERY_WORKER_PREFETCH_MULTIPLIER = 1; one message carries many events.",
            id="offload.E014",
        )


def _brokers(app: Celery) -> Iterator[checks.CheckMessage]:
    kind = app.connection_for_write().transport.driver_type
    if kind not in {"redis", "amqp"}:
        yield checks.Error(
            f"The broker's transport is {kind!r}: the relay can look into Redis, Valkey and RabbitMQ alone, and would "
            f"not find what another lost.",
            hint="Set CELERY_BROKER_URL to redis://… or amqp://….",
            id="offload.E020",
        )


def _broker_options(app: Celery) -> Iterator[checks.CheckMessage]:
    if not _is_redis(app):
        return
    options = app.conf.broker_transport_options or {}
    timeout, longest = options.get("visibility_timeout"), _longest()
    if timeout is None or timeout <= longest:
        yield checks.Error(
            f"The broker's visibility_timeout is {timeout}, and a message may run for {longest:g} seconds: the broker "
            f"would hand it out a second time.",
            hint=f"Set CELERY_BROKER_TRANSPORT_OPTIONS['visibility_timeout'] above {longest:g}, or give receivers a "
            f"shorter time_limit.",
            id="offload.E015",
        )
    for name in ("socket_timeout", "socket_connect_timeout"):
        if not options.get(name):
            yield checks.Error(
                f"The broker's {name} is not set: a broker that accepts and never answers would block for ever.",
                hint=f"Set CELERY_BROKER_TRANSPORT_OPTIONS[{name!r}] = 1.0 (seconds).",
                id="offload.E016",
            )


def _is_redis(app: Celery) -> bool:
    # Other brokers have neither option; asking for the transport opens no connection.
    return bool(app.connection_for_write().transport.driver_type == "redis")


def _longest() -> float:
    """Seconds that a message may take: of one event, or of as many as the receiver takes at once."""
    return max((limits(r.name, size).hard for r in registry for size in {1, r.batch}), default=0.0)


def _connections(app: Celery) -> Iterator[checks.CheckMessage]:
    # Asked for as Celery's Django fix-up does: it finds the name with the settings namespace and without.
    if app.conf.get("CELERY_DB_REUSE_MAX") is None:
        yield checks.Error(
            "CELERY_DB_REUSE_MAX is not set: Celery would close the database connection around every message, "
            "whatever CONN_MAX_AGE says.",
            hint="Set CELERY_DB_REUSE_MAX = 1000 (messages before a connection is renewed).",
            id="offload.E017",
        )


def _rates(app: Celery) -> Iterator[checks.CheckMessage]:
    for receiver in registry:
        limit = _rate_limit(app, receiver)
        if limit:
            yield checks.Error(
                f"The receiver {receiver.name!r} has rate_limit {limit!r}: it would count messages, which carry many "
                f"events each.",
                hint="Remove it from task_annotations and task_default_rate_limit; use the concurrency of a queue "
                "of its own instead.",
                id="offload.E018",
            )


def _rate_limit(app: Celery, receiver: Receiver) -> Any:
    # A task without a limit of its own takes the app's default.
    return app.tasks[receiver.name].rate_limit if receiver.name in app.tasks else None


def _children(app: Celery) -> Iterator[checks.CheckMessage]:
    if not app.conf.worker_max_tasks_per_child:
        yield checks.Warning(
            "Celery's worker_max_tasks_per_child is not set: memory that a receiver leaks is never given back.",
            hint="Set CELERY_WORKER_MAX_TASKS_PER_CHILD = 10_000 (messages).",
            id="offload.W006",
        )
