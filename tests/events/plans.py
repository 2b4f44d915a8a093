"""How a database finds the rows of a statement."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext


def plan(sql: str) -> str:
    word = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Few rows are read faster without; asked is whether it could.
            cursor.execute("SET LOCAL enable_seqscan = off")
        if parameters := set(re.findall(r"\$\d+", sql)):
            # Sent beside the text: the plan that the server keeps is one for all values.
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            cursor.execute(f"PREPARE asked AS {sql.replace('%', '%%')}")
            sql = f"EXECUTE asked ({', '.join('NULL' for _ in parameters)})"
        cursor.execute(f"{word} {sql.replace('%', '%%')}")
        # MySQL's is a table: which index, is in one of its columns.
        rows = cursor.fetchall() if connection.vendor == "mysql" else [row[-1:] for row in cursor.fetchall()]
        if parameters:
            cursor.execute("DEALLOCATE asked")
        return "\n".join(" ".join(map(str, row)) for row in rows)


def plans_of(action: Callable[[], object]) -> dict[str, str]:
    """Each statement of the action that looks for rows of ours, and its plan."""
    with CaptureQueriesContext(connection) as captured:
        action()
    statements = [query["sql"] for query in captured if "offload_" in query["sql"]]
    return {sql: plan(sql) for sql in statements if not sql.startswith("INSERT")}


def reads_all(text: str) -> bool:
    """Whether the plan reads a table that grows from end to end."""
    return bool(re.search(r"(Seq Scan on|SCAN) offload_(event|delivery|refusal)\b(?! USING)", text))
