"""Uploaded files, where no web server stands in front that serves them."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.static import serve


def uploaded(request: HttpRequest, path: str) -> HttpResponseBase:
    """The file of that name. Raises `Http404`, also where a receiver removes it in this very moment."""
    try:
        return serve(request, path, document_root=settings.MEDIA_ROOT)
    except FileNotFoundError as error:
        # Django looks whether it is there before it opens it.
        raise Http404(path) from error
