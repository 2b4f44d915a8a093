from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.urls import reverse

register = template.Library()

_PAGES = (
    ("Health", "minute"),
    ("Flow map", "flowmap"),
    ("Events", "eventrecord"),
    ("Deliveries", "delivery"),
    ("Queues", "queue"),
    ("Workers", "worker"),
    ("Refusals", "refusal"),
)


@register.simple_tag(takes_context=True)
def bus_pages(context: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages that the reader may see; `here` is the one that is open."""
    request = context["request"]
    found = []
    for name, model in _PAGES:
        url = reverse(f"admin:offload_{model}_changelist")
        if request.user.has_perm(f"{apps.get_app_config('offload').label}.view_{model}"):
            found.append({"name": name, "url": url, "here": request.path == url})
    return found
