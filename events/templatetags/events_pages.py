from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.urls import reverse

register = template.Library()

# Name, model, and whose view permission it takes.
_PAGES = (
    ("Health", "minute", "minute"),
    ("Flow map", "flowmap", "flowmap"),
    ("Failures", "failure", "delivery"),
    ("Events", "eventrecord", "eventrecord"),
    ("Deliveries", "delivery", "delivery"),
    ("Receivers", "pausedreceiver", "pausedreceiver"),
    ("Queues", "queue", "queue"),
    ("Workers", "worker", "worker"),
    ("Refusals", "refusal", "refusal"),
    ("Actions", "action", "action"),
)


@register.simple_tag(takes_context=True)
def bus_pages(context: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages that the reader may see; `here` is the one that is open."""
    request = context["request"]
    found = []
    for name, model, looked_at in _PAGES:
        url = reverse(f"admin:offload_{model}_changelist")
        if request.user.has_perm(f"{apps.get_app_config('offload').label}.view_{looked_at}"):
            found.append({"name": name, "url": url, "here": request.path == url})
    return found
