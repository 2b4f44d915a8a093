"""The fields of `django.contrib.postgres`: their codecs anywhere, their columns where there are some."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import NumericRange, Range
from django.db.models import F
from django.test.utils import isolate_apps

from events.serializers import plan_for
from tests.events.serializers.captured import copied, same, saved
from tests.zoo.postgres import PostgresFields

on_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="needs a PostgreSQL database")

NOON = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)

# As assigned, and as it has to arrive.
VALUES: dict[str, list[tuple[Any, Any]]] = {
    "array": [
        ([], []),
        ([Decimal("1.100"), None], [Decimal("1.100"), None]),
        (("1.5", 2), [Decimal("1.5"), Decimal(2)]),
    ],
    "array_of_arrays": [([[NOON, None], [NOON, NOON]], [[NOON, None], [NOON, NOON]])],
    "sorted_numbers": [([3, 1, 2], [1, 2, 3])],
    "hstore": [({}, {}), ({"a": "1", "b": None}, {"a": "1", "b": None}), ({1: 2}, {"1": "2"})],
    "integer_range": [
        (NumericRange(1, 5), NumericRange(1, 5)),
        (NumericRange(None, 5, "()"), NumericRange(None, 5, "()")),
        (NumericRange(empty=True), NumericRange(empty=True)),
        ((1, 5), NumericRange(1, 5, "[)")),
    ],
    "big_integer_range": [(NumericRange(-(2**63), None), NumericRange(-(2**63), None))],
    "decimal_range": [
        (NumericRange(Decimal("0.1"), Decimal(1), "(]"), NumericRange(Decimal("0.1"), Decimal(1), "(]")),
        (["0.5", "1"], NumericRange(Decimal("0.5"), Decimal(1), "[]")),
    ],
    "date_range": [(Range(dt.date(2024, 2, 29), None), Range(dt.date(2024, 2, 29), None))],
    "date_time_range": [(Range(NOON, NOON + dt.timedelta(1)), Range(NOON, NOON + dt.timedelta(1)))],
    "search_vector": [("'a':1 'b':2", "'a':1 'b':2")],
}


@pytest.fixture
def specimen() -> Iterator[type[PostgresFields]]:
    """The model with a field of each type; without a table on other databases."""
    if connection.vendor == "postgresql":
        from tests.zoo.models import PostgresSpecimen as WithTable

        yield WithTable
        return
    with isolate_apps("tests.zoo"):

        class PostgresSpecimen(PostgresFields):
            class Meta:
                app_label = "zoo"

        yield PostgresSpecimen


@pytest.mark.parametrize("name", VALUES)
def test_field__arrives_in_its_type(name: str, specimen: type[PostgresFields]) -> None:
    for value, expected in VALUES[name]:
        arrived = copied(specimen(pk=1, **{name: value}))
        assert same(getattr(arrived, name), expected)
        assert getattr(copied(specimen(pk=1)), name) is None
        assert name in copied(specimen(pk=1, **{name: F(name)})).get_deferred_fields()


def test_array__of_a_field_that_may_decrypt_stays_at_home(specimen: type[PostgresFields]) -> None:
    assert plan_for(specimen).home == ("array_of_secrets", "sorted_secrets")


def test_hstore__that_holds_a_secret_is_withheld_whole(specimen: type[PostgresFields]) -> None:
    snapshot = plan_for(specimen).take(specimen(pk=1, hstore={"password": "p"}), created=False)
    assert snapshot.withheld == ("hstore",)


def test_range__of_something_else_is_withheld(specimen: type[PostgresFields]) -> None:
    assert plan_for(specimen).take(specimen(pk=1, integer_range=5), created=False).withheld == (
        "integer_range",
    )


@on_postgres
@pytest.mark.django_db
@pytest.mark.parametrize("name", VALUES)
def test_field__arrives_from_the_database_as_it_is_there(name: str, specimen: type[PostgresFields]) -> None:
    for value, _ in VALUES[name]:
        arrived = saved(specimen(**{name: value}))
        row = specimen._default_manager.get(pk=arrived.pk)
        assert same(getattr(copied(row), name), getattr(row, name))
