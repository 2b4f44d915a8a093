#!/usr/bin/env python
from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as missing:
        raise SystemExit(
            f"{missing}. Run `make setup`, then use the Python it made: .venv/bin/python manage.py …"
        ) from None
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as mistake:
        raise SystemExit(f"{type(mistake).__name__}: {mistake}") from None


if __name__ == "__main__":
    main()
