"""Django's expressions as SQL, for statements written by hand."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import Expression, Model


def compiled(using: str, model: type[Model], expression: Expression) -> tuple[str, tuple[Any, ...]]:
    """Its SQL and parameters in a statement on the model's table."""
    query = model._default_manager.using(using).all().query
    compiler = query.get_compiler(connection=connections[using])
    sql, params = compiler.compile(expression.resolve_expression(query))
    return sql, tuple(params)
