"""The fields of `django.contrib.postgres`."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres import fields
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from tests.zoo.fields import EncryptedField


class SortedArrayField(fields.ArrayField):
    def to_python(self, value: Any) -> Any:
        return value if value is None else sorted(super().to_python(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return self.to_python(super().pre_save(model_instance, add))


class PostgresFields(models.Model):
    array = fields.ArrayField(models.DecimalField(max_digits=10, decimal_places=3), null=True)
    array_of_arrays = fields.ArrayField(fields.ArrayField(models.DateTimeField(null=True)), null=True)
    array_of_secrets = fields.ArrayField(EncryptedField(), null=True)
    sorted_secrets = SortedArrayField(EncryptedField(), null=True)
    sorted_numbers = SortedArrayField(models.IntegerField(), null=True)
    hstore = fields.HStoreField(null=True)
    integer_range = fields.IntegerRangeField(null=True)
    big_integer_range = fields.BigIntegerRangeField(null=True)
    decimal_range = fields.DecimalRangeField(null=True, default_bounds="[]")
    date_range = fields.DateRangeField(null=True)
    date_time_range = fields.DateTimeRangeField(null=True)
    search_vector = SearchVectorField(null=True)

    class Meta:
        abstract = True
