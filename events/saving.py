"""A save and what it emits in one transaction, for models that are saved outside `atomic()` too."""

from __future__ import annotations

from typing import Any

from django.db import router, transaction


class AtomicSave:
    """A mixin for models: `class Book(AtomicSave, models.Model)`. The row and its event are kept, or neither.

    Outside `atomic()` Django commits the row before it sends `post_save`: a process that dies in between keeps
    the row and loses the event. Deletions and changes of many-to-many fields are in a transaction as they are.
    """

    def save_base(self, *args: Any, using: str | None = None, **options: Any) -> None:
        using = using or router.db_for_write(type(self), instance=self)  # type: ignore[arg-type]  # mixed into a model
        # Without a savepoint, an error leaves an outer transaction as Django's own save does: to be rolled back.
        with transaction.atomic(using=using, savepoint=False):
            super().save_base(*args, using=using, **options)  # type: ignore[misc]  # the model's
