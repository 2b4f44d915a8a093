from __future__ import annotations

from collections.abc import Container

from django.db import models
from django.utils.text import slugify


def slug_base(text: str, fallback: str, max_length: int) -> str:
    """An ASCII slug of `text`, or `fallback` where the text has no letter that ASCII knows."""
    return slugify(text)[:max_length].strip("-_") or fallback


def first_free(base: str, taken: Container[str], max_length: int) -> str:
    """`base`, or `base-2`, `base-3` … whichever is first not in `taken`, never longer than the column."""
    if base not in taken:
        return base
    number = 2
    while (slug := f"{base[: max_length - len(str(number)) - 1]}-{number}") in taken:
        number += 1
    return slug


def unique_slug(instance: models.Model, text: str, using: str) -> str:
    """A slug no other row of the instance's model has now; the column's unique constraint has the last word."""
    model = type(instance)
    max_length: int = model._meta.get_field("slug").max_length or 50
    base = slug_base(text, fallback=model._meta.model_name or "item", max_length=max_length)
    others = model._base_manager.using(using).exclude(pk=instance.pk)
    # Shortened by the suffix's room, so that candidates of a long title are among those fetched.
    taken = set(others.filter(slug__startswith=base[: max_length - 8]).values_list("slug", flat=True))
    return first_free(base, taken, max_length)
