from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.db import transaction
from django.http import HttpRequest, HttpResponse

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
READING = {"GET", "HEAD", "OPTIONS"}


def atomic_when_writing(view: View[P]) -> View[P]:
    """For a view that shows a form and takes it: a transaction for the POST, none for the GET.

    ATOMIC_REQUESTS knows views, not methods; with SQLite's IMMEDIATE transactions, readers would queue behind writers.
    """

    @transaction.non_atomic_requests
    @wraps(view)
    def wrapper(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method in READING:
            return view(request, *args, **kwargs)
        with transaction.atomic():
            return view(request, *args, **kwargs)

    return wrapper
