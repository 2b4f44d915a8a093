"""Wrong configuration, found by `manage.py check` before it costs an event."""

from __future__ import annotations

from events.checks import celery_settings, databases, receivers, settings, upcasters

__all__ = ["celery_settings", "databases", "receivers", "settings", "upcasters"]
