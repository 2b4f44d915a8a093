from __future__ import annotations


def is_psycopg_3() -> bool:
    """Of a connection to PostgreSQL."""
    # Imported where the vendor is known: its module needs a driver.
    from django.db.backends.postgresql.psycopg_any import is_psycopg3  # noqa: PLC0415

    return is_psycopg3
