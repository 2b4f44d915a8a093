from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from events.conf import settings

_BEARER = "Bearer "


@transaction.non_atomic_requests
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """In Prometheus' text format, for who knows EVENTS["METRICS_TOKEN"], or may look at the health page.

    Where PROMETHEUS_MULTIPROC_DIR is set, with what all of the project's own processes count there.
    """
    if not _may_look(request):
        return HttpResponse("A bearer token is needed, or a user who may see the health page.\n", status=403)
    try:
        return _scraped()
    except ImportError as error:
        raise ImproperlyConfigured("The metrics need prometheus-client: pip install it.") from error


def _may_look(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "")
    token = settings.METRICS_TOKEN
    if token and given.startswith(_BEARER):
        return constant_time_compare(given.removeprefix(_BEARER), token)
    user = getattr(request, "user", None)
    return user is not None and user.is_staff and user.has_perm("offload.view_minute")


def _scraped() -> HttpResponse:
    # Not before: the package may be missing.
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    from events.metrics.collector import Figures  # noqa: PLC0415

    # Of its own: what this one process has counted would be another's at the next scrape.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no annotations
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
