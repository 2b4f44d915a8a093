from __future__ import annotations

from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from library.errands import read_token
from workers import errands as errands_


@require_safe
@never_cache
@non_atomic_requests
def errands(request: HttpRequest, token: str) -> JsonResponse:
    """What the workers did about one request so far; only for who holds its token."""
    correlation_id = read_token(token)
    if correlation_id is None:
        raise Http404
    found = errands_.errands(correlation_id)
    return JsonResponse(
        {
            "errands": [each._asdict() for each in found],
            "finished": all(each.progress != "working" for each in found),
        }
    )
