"""A web process in little: saves one item per transaction, as many as it is told."""

from __future__ import annotations

import sys

import django


def main(count: int) -> None:
    django.setup()
    from django.db import transaction

    from tests.shop.models import Item

    for number in range(count):
        with transaction.atomic():
            Item.objects.create(title=f"{number}")
    print("emitted", flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(int(sys.argv[1]))
