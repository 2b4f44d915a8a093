"""`make demo`: the whole stack, a reader's story over HTTP, and every effect waited for and counted.

With DEMO_SITE, DEMO_MAILPIT, DATABASE_URL and ADMIN_PASSWORD: on a stack that runs elsewhere.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from project.dev.effects import Effect, wait_for
from project.dev.elsewhere import Elsewhere
from project.dev.stack import Stack, StackError

if TYPE_CHECKING:
    from project.dev.story import Place, Step, Story

EFFECTS_WITHIN = 60  # seconds, for all effects of one step
OUTCOMES_WITHIN = 90  # seconds, for every receiver of every event of one step
ADMIN_PASSWORD = "demo"  # noqa: S105 -- of a site that lives for a minute


def play(story: Story) -> list[str]:
    """Step by step, each to its end; what is missing or too much."""
    from project.dev import timeline

    began = datetime.now(UTC)
    effects: list[Effect] = []
    complaints: list[str] = []
    for step in story.steps():
        expected, complained = take(step)
        effects += expected
        complaints += complained
    # Once more, now that everything has settled: an effect may also come a second time.
    complaints += [effect.complaint for effect in effects if effect.lasts and effect.complaint]
    print(f"\n{timeline.summary(began)}")
    return list(dict.fromkeys(complaints))


def take(step: Step) -> tuple[list[Effect], list[str]]:
    from project.dev import timeline

    began = datetime.now(UTC)
    print(f"\nThe reader {step.title}", flush=True)
    step.act()
    effects = step.effects()
    wait_for(effects, EFFECTS_WITHIN)
    unfinished = timeline.wait_until_finished(began, OUTCOMES_WITHIN)
    for line in timeline.lines(timeline.events_since(began)):
        print(line)
    complaints = [effect.complaint for effect in effects if effect.complaint]
    for effect in effects:
        print(f"    {f'✗ {effect.complaint}' if effect.complaint else f'✓ {effect}'}", flush=True)
    return effects, complaints + [f"no outcome: {one}" for one in unfinished]


def interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, interrupted)
    try:
        return tell_elsewhere(os.environ["DEMO_SITE"]) if os.environ.get("DEMO_SITE") else tell_here()
    except StackError as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def tell_elsewhere(site: str) -> int:
    """On a site that runs, has the demo data and hasn't heard the story: at DATABASE_URL, with a Mailpit."""
    with tempfile.TemporaryDirectory(prefix="library demo ") as directory:
        there = Elsewhere(site, os.environ["DEMO_MAILPIT"])
        os.environ |= there.environment | {"VAR_DIR": directory}
        return tell(there, os.environ["ADMIN_PASSWORD"])


def tell_here() -> int:
    with tempfile.TemporaryDirectory(prefix="library demo ") as directory:
        # DEMO_DATABASE_URL: an empty PostgreSQL database, where one doesn't want SQLite.
        stack = Stack(Path(directory), os.environ.get("DEMO_DATABASE_URL", ""))
        os.environ |= stack.environment | {"ADMIN_PASSWORD": ADMIN_PASSWORD}
        print("Starting broker, mail sink, worker and web server, with demo data ...", flush=True)
        with stack:
            stack.start()
            told = tell(stack, ADMIN_PASSWORD)
            if told:
                print(f"\nThe stack's log ends with:\n{stack.last_lines()}", file=sys.stderr)
            return told


def tell(place: Place, admin_password: str) -> int:
    import django

    django.setup()
    from project.dev.browser import UnexpectedPage
    from project.dev.story import Story

    try:
        complaints = play(Story(place, admin_password))
    except UnexpectedPage as reason:
        complaints = [str(reason)]
    if not complaints:
        print("Every effect came, each exactly once.")
        return 0
    print("", *complaints, sep="\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
