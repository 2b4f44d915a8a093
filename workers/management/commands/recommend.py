from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from library.models import Reading, Recommendation
from workers.recommend import refresh_outdated


class Command(BaseCommand):
    help = (
        "Computes every reader's recommendations anew, here and now: after an import that emitted no events, "
        "or when the way they are computed has changed. Running it again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--first", action="store_true", help="only where nobody has any yet: after the demo data"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["first"] and Recommendation.objects.exists():
            return
        readers = Reading.objects.order_by("user").values_list("user", flat=True).distinct()
        refresh_outdated(list(readers))
        if options["verbosity"] > 0:
            self.stdout.write(f"Recommendations computed for {readers.count()} readers.")
