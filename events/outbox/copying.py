"""PostgreSQL takes many rows by COPY at half the cost of an INSERT, on both sides. docs/decisions/0012-speed.md."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from events.clock import LOOK_AFTER, asked
from events.drivers import is_psycopg_3
from events.models import EventRecord
from events.outbox.columns import NAMES, rows_of
from events.outbox.emission import Emission
from events.outbox.large import tell_large


def is_possible(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql" and is_psycopg_3()


def copy(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> None:
    """Write the emissions in the transaction now open on `connection`: kept or lost with it."""
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in (*NAMES, "next_at"))
    # Made before the driver's lock is held: what makes an envelope may log, and a handler that stores what is logged
    # would wait for that lock for ever.
    for emission in emissions:
        emission.content()
        tell_large(emission)
    row = rows_of(connection)
    with connection.cursor() as cursor:
        due, look = asked(connection.alias, 0, LOOK_AFTER)
        with (
            connection.wrap_database_errors,
            cursor.copy(f"COPY {quote(EventRecord._meta.db_table)} ({columns}) FROM STDIN") as rows,
        ):
            for emission in emissions:
                # What is left to the relay is due at once.
                rows.write_row((*row(emission), due if emission.is_left() else look))
