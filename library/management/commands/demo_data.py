from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from events import muted
from library.demo import covers, people, shelves
from library.demo.progress import Progress

PASSWORD_VARIABLE = "ADMIN_PASSWORD"  # noqa: S105 -- the name of an environment variable


class Command(BaseCommand):
    help = (
        "Fills the library with books in categories, readers and what they read, and makes the user `admin`. "
        "The same numbers give the same library; running it again adds nothing. "
        "It emits no events: nobody is welcomed by mail, nothing is audited."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--books", type=int, default=300)
        parser.add_argument("--readers", type=int, default=40)
        parser.add_argument("--covers", type=int, default=120, help="how many of the books get a drawn cover")
        parser.add_argument(
            "--admin-password",
            default=os.environ.get(PASSWORD_VARIABLE, ""),
            help=f"for the user `admin`; default: ${PASSWORD_VARIABLE}, or a new one, which is printed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("books", "readers", "covers"):
            if options[name] < 0:
                raise CommandError(f"--{name} can't be negative.")
        progress = Progress(self.stdout, silent=options["verbosity"] == 0)
        # Nobody has to hear of this: 300 books would be thousands of deliveries.
        with muted(), transaction.atomic():
            shelves.add_categories(progress)
            shelves.add_books(options["books"], progress)
            people.add_readers(options["readers"], progress)
            people.add_readings(options["books"], options["readers"], progress)
            self.add_admin(options["admin_password"])
        # Files don't roll back, so they come last; each is tied to its book by one UPDATE.
        with muted():
            covers.add_covers(min(options["covers"], options["books"]), progress)

    def add_admin(self, password: str) -> None:
        users = get_user_model()
        admin = users.objects.filter(username="admin").first()
        if admin is None:
            chosen = password or secrets.token_urlsafe(9)
            users.objects.create_superuser("admin", "admin@example.org", chosen)
            shown = "as given" if password else chosen
            self.stdout.write(f"admin login: admin, password: {shown}")
        elif password and not admin.check_password(password):
            admin.set_password(password)
            admin.save(update_fields=["password"])
            self.stdout.write("admin login: admin, password changed to the one given")
        else:
            self.stdout.write("admin login: admin, password unchanged")
