from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save

from events import Skip, offload
from events.delivery.occurrence import DeliveredEvent
from events.serializers import RequestInfo
from library.models import AuditEntry, Book, Category
from library.signals import user_registered

TRACKED = ("title", "slug", "author", "description", "cover", "is_featured")

Changes = Mapping[str, Any]


def write_entry(
    event: DeliveredEvent,
    action: str,
    *,
    actor: User | None = None,
    changes: Changes | None = None,
    subject: str = "",
) -> None:
    """One entry for one delivery: an event replayed by a person, under the same key, adds none."""
    AuditEntry.objects.get_or_create(
        idempotency_key=event.idempotency_key,
        defaults={
            "action": action,
            "subject": subject or event.subject,
            "actor": actor,
            "changes": dict(changes or {}),
            "at": event.time,
        },
    )


@offload(post_save, sender=Book, queue="audit", track=TRACKED)
def record_saved_book(
    sender: type[Book], instance: Book, created: bool, event: DeliveredEvent, **kwargs: Any
) -> None:
    """Writes an audit entry for a book added or edited, with what changed."""
    if created:
        held = {name: {"after": value} for name, value in known_values(instance).items()}
        write_entry(event, "book.created", actor=existing_user(instance.added_by_id), changes=held)
        return
    changes = differences(event.changes)
    if not changes:
        raise Skip("no tracked field changed")
    write_entry(event, "book.updated", changes=changes)


@offload(post_delete, sender=Book, queue="audit")
def record_deleted_book(sender: type[Book], instance: Book, event: DeliveredEvent, **kwargs: Any) -> None:
    """Writes an audit entry for a deleted book, with what it held."""
    held = {name: {"before": value} for name, value in known_values(instance).items()}
    write_entry(event, "book.deleted", changes=held)


def touches_rows(sender: type[Model], *, pk_set: set[int] | None, **kwargs: Any) -> bool:
    """Django also announces additions of what was there already; `pk_set` is None for a clear."""
    return pk_set is None or bool(pk_set)


@offload(m2m_changed, sender=Book.categories.through, queue="audit", when=touches_rows)
def record_changed_categories(
    sender: type[Model],
    action: str,
    model: type[Model],
    pk_set: set[int] | None,
    event: DeliveredEvent,
    **kwargs: Any,
) -> None:
    """Writes an audit entry for categories added to a book, removed from it or cleared."""
    what = {"post_add": "added", "post_remove": "removed", "post_clear": "cleared"}[action]
    side = "categories" if model is Category else "books"
    others = sorted(model._default_manager.filter(pk__in=pk_set or ()), key=str)
    changes = {side: {what: [str(other) for other in others] if pk_set else "all"}}
    write_entry(event, f"{'book' if side == 'categories' else 'category'}.{side}_{what}", changes=changes)


@offload(user_registered, queue="audit", missing="none")
def record_registration(sender: Any, user: User | None, event: DeliveredEvent, **kwargs: Any) -> None:
    """Writes an audit entry for a new reader."""
    write_entry(event, "user.registered", actor=user)


@offload(user_logged_in, queue="audit", missing="none")
def record_login(sender: Any, user: User | None, event: DeliveredEvent, **kwargs: Any) -> None:
    """Writes an audit entry for a log-in."""
    write_entry(event, "user.logged_in", actor=user)


@offload(user_login_failed, queue="audit")
def record_failed_login(
    sender: Any,
    event: DeliveredEvent,
    credentials: Mapping[str, Any] | None = None,
    request: RequestInfo | None = None,
    **kwargs: Any,
) -> None:
    """Writes an audit entry for a failed log-in, never with what was typed."""
    user = account_named(credentials or {})
    subject = f"{user._meta.label_lower}/{user.pk}" if user else ""
    write_entry(
        event, "user.login_failed", subject=subject, changes={"route": request.route} if request else {}
    )


def account_named(credentials: Mapping[str, Any]) -> User | None:
    """None where nobody has that name: people type passwords into its box, and no entry may hold one."""
    users = get_user_model()
    typed = credentials.get(users.USERNAME_FIELD)
    return users._default_manager.filter(**{users.USERNAME_FIELD: typed}).first() if typed else None


def existing_user(pk: int | None) -> User | None:
    """The account may be gone by the time a worker looks: then the entry stands without it."""
    return get_user_model()._default_manager.filter(pk=pk).first() if pk else None


def known_values(book: Book) -> dict[str, Any]:
    """What travelled: asking for a deferred field would look for a row that may be gone."""
    return {name: readable(book.__dict__[name]) for name in TRACKED if name in book.__dict__}


def differences(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    pairs = {name: (readable(before), readable(after)) for name, (before, after) in changes.items()}
    return {name: {"before": old, "after": new} for name, (old, new) in pairs.items() if old != new}


def readable(value: Any) -> Any:
    """What JSON can hold: numbers, truth values and None as they are, everything else as text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
