from __future__ import annotations

import argparse
from collections import Counter
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.management.console import Console, plural
from events.management.subcommands.base import Subcommand, add_json
from events.operations.diagnosing import Finding, diagnose


class Doctor(Subcommand):
    help: ClassVar[str] = "what is misconfigured or broken here, now, and what to do about it"
    description: ClassVar[str] = (
        "Runs the system checks, then asks database, broker, workers and tables. Ends with status 1 if it finds\n"
        "an error."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_json(parser)

    def run(self, console: Console, *, json: bool, **options: Any) -> None:
        counts: Counter[str] = Counter()
        found: list[Finding] = []
        for finding in diagnose():
            counts[finding.level] += 1
            found.append(finding)
            if not json:
                _print(console, finding)
        if json:
            console.json([finding._asdict() for finding in found])
        summary = f"{plural(counts['error'], 'error')}, {plural(counts['warning'], 'warning')}"
        if not json and not counts["error"]:
            console.line(f"{summary}.")
        if not json:
            console.next("manage.py events doctor, again" if counts["error"] else "manage.py events status")
        if counts["error"]:
            raise CommandError(f"{summary}.")


def _print(console: Console, finding: Finding) -> None:
    styles = {
        "ok": console.style.SUCCESS,
        "note": console.style.NOTICE,
        "warning": console.style.WARNING,
        "error": console.style.ERROR,
    }
    console.line(f"{styles[finding.level](finding.level.ljust(7))}  {finding.what}")
    if finding.remedy:
        console.line(f"         {finding.remedy}")
    console.flush()
