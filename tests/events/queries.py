"""The statements that something makes, in the order it makes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

_FORMS = (
    (r"(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT).*", r"\1"),
    (r"SELECT .*? FROM [\"`](\w+)[\"`].*", r"SELECT \1"),
    (r"WITH RECURSIVE .*? FROM [\"`](\w+)[\"`].*", r"SELECT \1"),
    (r"INSERT (?:OR IGNORE )?INTO [\"`](\w+)[\"`].*", r"INSERT \1"),
    (r"UPDATE [\"`](\w+)[\"`].*", r"UPDATE \1"),
    (r"(SET LOCAL) .*", r"\1"),
    (r"COPY \"(\w+)\".*", r"COPY \1"),
    (r"SELECT (\(STATEMENT_TIMESTAMP|STRFTIME).*", "SELECT now"),
    (r"DELETE FROM [\"`](\w+)[\"`].*", r"DELETE \1"),
)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Filled at the end of the block: `SELECT offload_event`, `INSERT offload_delivery`, without BEGIN and COMMIT."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found += [_short(query["sql"]) for query in captured if not _is_frame(query["sql"])]


def _is_frame(sql: str) -> bool:
    return sql.startswith(("BEGIN", "COMMIT"))


def _short(sql: str) -> str:
    for form, short in _FORMS:
        if re.fullmatch(form, sql, re.DOTALL):
            return re.sub(form, short, sql, flags=re.DOTALL)
    return sql
