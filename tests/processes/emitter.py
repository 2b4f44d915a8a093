"""A web process in little: saves as many items as it is told, each in a transaction, or all `at-once` in one."""

from __future__ import annotations

import sys

import django


def main(count: int, each: int) -> None:
    django.setup()
    from django.db import transaction

    from tests.shop.models import Item

    for start in range(0, count, each):
        with transaction.atomic():
            for number in range(start, start + each):
                Item.objects.create(title=f"{number}")
    print("emitted", flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    number = int(sys.argv[1])
    main(number, each=number if sys.argv[2:] == ["at-once"] else 1)
