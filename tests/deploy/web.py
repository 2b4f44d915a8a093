"""A web process of either version: does what it is told, once per transaction, as often as it is told."""

from __future__ import annotations

import sys

import django


def main(action: str, count: int) -> None:
    django.setup()
    from depot import actions
    from django.db import transaction

    for number in range(count):
        with transaction.atomic():
            getattr(actions, action)(number)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
