"""What of an HttpRequest may travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

from events.conf import settings
from events.serializers.json_type import Json
from events.serializers.sensitive import is_sensitive


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """A request as a worker sees it: no path, query, cookies or body."""

    method: str
    # The URL pattern that matched, such as "books/<slug:slug>/"; empty where none did.
    route: str = ""
    user_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: HttpRequest, *, headers: bool = True) -> RequestInfo:
        match = getattr(request, "resolver_match", None)
        return cls(
            method=request.method or "",
            route=(match.route or "") if match else "",
            user_id=_user_id(request),
            headers=_headers(request) if headers else {},
        )

    def brief(self) -> dict[str, Json]:
        """Who emitted an event, as its envelope says it: less than a request that is an argument."""
        return {"$": "request", "method": self.method, "route": self.route, "user_id": self.user_id}

    def dump(self) -> dict[str, Json]:
        return {
            "method": self.method,
            "route": self.route,
            "user_id": self.user_id,
            "headers": dict(self.headers),
        }


def _headers(request: HttpRequest) -> dict[str, str]:
    names = [name for name in settings.REQUEST_HEADERS if not is_sensitive(name)]
    return {name: str(request.headers[name]) for name in names if name in request.headers}


def _user_id(request: HttpRequest) -> str | None:
    """Only where it is known without a query: the user was loaded, or the session was."""
    user: Any = request.__dict__.get("user")
    if user is None or (isinstance(user, LazyObject) and user.__dict__.get("_wrapped") is empty):
        user = request.__dict__.get("_cached_user")
    if user is not None:
        return _text(getattr(user, "pk", None))
    # The cache of a loaded session, read past its properties: those would load it, and mark it as accessed.
    session = getattr(request.__dict__.get("session"), "__dict__", {})
    return _text(session.get("_session_cache", {}).get(SESSION_KEY))


def _text(user_id: object) -> str | None:
    return None if user_id is None else str(user_id)
