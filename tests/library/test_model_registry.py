from __future__ import annotations

import subprocess
import sys

from django.apps import apps
from django.conf import settings
from django.db import models
from django.test.utils import isolate_apps

from library.models import Book
from library.receivers.model_registry import registered_models


def test_registry__holds_every_model_of_every_app() -> None:
    seen = registered_models()
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        assert seen[model._meta.label_lower] is model


def test_registry__holds_models_of_apps_before_and_after_ours_and_through_models() -> None:
    labels = list(registered_models())
    assert {"auth.user", "library.book", "library.book_categories"} <= set(labels)
    assert labels == sorted(labels)


@isolate_apps("library")
def test_registry__sees_a_class_the_moment_it_is_made() -> None:
    class Pamphlet(models.Model):
        class Meta:
            app_label = "library"

    assert registered_models()["library.pamphlet"] is Pamphlet


def test_registry__historical_models_of_migrations_are_none_of_ours(db: None) -> None:
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    state = MigrationLoader(connection).project_state(("library", "0001_initial"))
    assert state.apps.get_model("library", "Book") is not Book
    assert registered_models()["library.book"] is Book


def test_registry__is_connected_before_the_first_model_is_made() -> None:
    """In a process of its own: connected in `ready` instead, it would hold nothing here."""
    program = (
        "import django; django.setup();"
        "from library.receivers.model_registry import registered_models as seen;"
        "from django.apps import apps;"
        "print(len(seen()), len(apps.get_models(include_auto_created=True)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=settings.BASE_DIR
    )
    held, existing = map(int, done.stdout.split())
    assert held == existing > 10
