"""When what was emitted was finished, and how often it was sent: by the database's clock alone."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import Func, IntegerField, Max, QuerySet, Sum
from django.db.models.functions import Now

from events.models import FINISHED, Delivery, EventRecord
from tests.chaos.models import Expectation

_LENGTH = {"sqlite": "json_array_length", "postgresql": "jsonb_array_length", "mysql": "json_length"}


def now() -> datetime:
    moment: datetime = Expectation.objects.annotate(moment=Now()).values_list("moment", flat=True)[0]
    return moment


def finished_since(moment: datetime) -> int:
    """Deliveries with an outcome, of events emitted since then."""
    return _deliveries(moment).filter(state__in=FINISHED).count()


def last_finish(since: datetime, until: datetime) -> datetime | None:
    """When the last delivery of the events emitted in that time was finished; None: one isn't."""
    of_then = _deliveries(since).filter(event__emitted_at__lte=until)
    if of_then.exclude(state__in=FINISHED).exists():
        return None
    last: datetime | None = of_then.aggregate(last=Max("finished_at"))["last"]
    return last or since


def puts(since: datetime) -> int:
    """How often deliveries of events emitted since then were put into a message: by a relay, by their emitter."""
    by_relay: int | None = _deliveries(since).aggregate(n=Sum("attempt"))["n"]
    length = Func("published", function=_LENGTH[connection.vendor], output_field=IntegerField())
    events = EventRecord.objects.filter(emitted_at__gte=since).annotate(n=length)
    by_emitter: int | None = events.aggregate(total=Sum("n"))["total"]
    return (by_relay or 0) + (by_emitter or 0)


def _deliveries(since: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(event__emitted_at__gte=since)
