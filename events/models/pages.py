"""No tables: what the admin hangs pages of its own on."""

from __future__ import annotations

from events.models.deliveries import Delivery
from events.models.fleet import Queue


class FlowMap(Queue):
    """No table of its own: what the admin hangs its drawing on, and the permission to look at it."""

    class Meta:
        proxy = True
        verbose_name = "flow map"
        verbose_name_plural = "flow map"


class Failure(Delivery):
    """Dead letters by kind of failure, as a page of the admin's own."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name_plural = "failures"
