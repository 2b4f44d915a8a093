"""Prometheus' view of the bus: `path("metrics", events.metrics.metrics)`. Needs prometheus-client."""

from events.metrics.views import metrics

__all__ = ["metrics"]
