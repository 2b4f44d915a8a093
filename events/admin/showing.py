"""How values look in the admin. Everything here is escaped: payloads and tracebacks hold what users typed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from events.delivery import kill_switch
from events.models import Action, Delivery, PausedReceiver, State
from events.operations.telling import Change
from events.texts import local, unquoted

EMPTY = "–"


def page_of(row: Model) -> str:
    """The address of its page; "" where its model isn't in the admin."""
    meta = row._meta
    try:
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""


def visible_page(row: Model, viewer: Any) -> str:
    """The same, for who may look at it; else ""."""
    meta = row._meta
    may = any(viewer.has_perm(f"{meta.app_label}.{verb}_{meta.model_name}") for verb in ("view", "change"))
    return page_of(row) if may else ""


def may_see_errors(viewer: Any) -> bool:
    """What receivers raise holds what they were given."""
    return bool(viewer.has_perm("offload.view_delivery"))


def why_of(row: Action | PausedReceiver, *, quotes: bool) -> str:
    """Its reason; the kill switch's without the error that it quotes, where the viewer may see none."""
    # Persons quote what they like.
    return row.why if quotes or row.by != kill_switch.BY else unquoted(row.why)


def changes_table(changes: Sequence[Change]) -> SafeString | str:
    if not changes:
        return EMPTY
    return render_to_string("events/admin/changes.html", {"changes": changes})


def list_of(model: type[Model], **filters: str) -> str:
    meta = model._meta
    return f"{reverse(f'admin:{meta.app_label}_{meta.model_name}_changelist')}?{urlencode(filters)}"


def link(address: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, text) if address else format_html("{}", text)


def badge(state: str) -> SafeString:
    return format_html('<span class="events-state events-{}">{}</span>', state, State(state).label)


def receiver_name(path: str) -> SafeString:
    """The function in words, its module smaller: lists are read by a person."""
    module, _, name = path.rpartition(".")
    return format_html('{}<br><span class="events-quiet">{}</span>', name.replace("_", " "), module)


def moment(at: datetime | None) -> str:
    """With seconds, which Django's own format leaves out."""
    return f"{local(at):%Y-%m-%d %H:%M:%S}" if at else EMPTY


def preformatted(text: str) -> SafeString | str:
    # tabindex: a keyboard must be able to scroll it.
    return format_html('<pre class="events-text" tabindex="0">{}</pre>', text) if text else EMPTY


def pretty(envelope: str) -> SafeString | str:
    try:
        return preformatted(json.dumps(json.loads(envelope), indent=2, ensure_ascii=False))
    except ValueError:
        return preformatted(envelope)


def deliveries_table(rows: Sequence[Delivery], *, with_event: bool = False) -> SafeString | str:
    """Rows with links to delivery, task result and, on request, event."""
    if not rows:
        return EMPTY
    results = task_results([row.message_id for row in rows if row.message_id])
    lines = [
        {
            "row": row,
            "page": page_of(row),
            "state": badge(row.state),
            "result": results.get(row.message_id, ""),
        }
        | ({"event": link(page_of(row.event), row.event)} if with_event else {})
        for row in rows
    ]
    return render_to_string("events/admin/deliveries.html", {"lines": lines, "with_event": with_event})


def task_results(messages: Sequence[UUID]) -> dict[UUID | None, str]:
    """Message → the address of the page of its result, where Celery keeps results in the database."""
    if not messages or not apps.is_installed("django_celery_results"):
        return {}
    model = apps.get_model("django_celery_results", "TaskResult")
    found = model._default_manager.filter(task_id__in=[str(message) for message in messages])
    return {UUID(row.task_id): page_of(row) for row in found.only("pk", "task_id")}
