from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_migrate


class ZooConfig(AppConfig):
    name = "tests.zoo"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        pre_migrate.connect(_add_extensions, sender=self, dispatch_uid="tests.zoo.extensions")
        connection_created.connect(_register_types, dispatch_uid="tests.zoo.types")


def _add_extensions(*, using: str, **kwargs: object) -> None:
    # An app without migrations has no HStoreExtension operation, and its tables are made before any migration.
    connection = connections[using]
    if connection.vendor == "postgresql":
        from django.contrib.postgres.signals import get_hstore_oids

        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore")
        get_hstore_oids.cache_clear()
        _register_types(connection=connection)


def _register_types(*, connection: Any, **kwargs: object) -> None:
    # What `django.contrib.postgres` does where it is installed: hstore columns come back as dicts.
    if connection.vendor == "postgresql":
        from django.contrib.postgres.signals import register_type_handlers

        register_type_handlers(connection)
