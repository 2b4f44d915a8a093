"""`make demo`: the whole stack, a reader's story over HTTP, and every effect waited for and counted."""

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
from project.dev.stack import Stack, StackError

if TYPE_CHECKING:
    from project.dev.story import Step, Story

EFFECTS_WITHIN = 20  # seconds, for all effects of one step
OUTCOMES_WITHIN = 30  # seconds, for every receiver of every event of one step
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
    with tempfile.TemporaryDirectory(prefix="library demo ") as directory:
        # DEMO_DATABASE_URL: an empty PostgreSQL database, where one doesn't want SQLite.
        stack = Stack(Path(directory), os.environ.get("DEMO_DATABASE_URL", ""))
        os.environ |= stack.environment | {"ADMIN_PASSWORD": ADMIN_PASSWORD}
        print("Starting broker, mail sink, worker and web server, with demo data ...", flush=True)
        try:
            with stack:
                return tell(stack)
        except StackError as reason:
            print(reason, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130


def tell(stack: Stack) -> int:
    stack.start()
    import django

    django.setup()
    from project.dev.browser import UnexpectedPage
    from project.dev.story import Story

    try:
        complaints = play(Story(stack, ADMIN_PASSWORD))
    except UnexpectedPage as reason:
        complaints = [str(reason)]
    if not complaints:
        print("Every effect came, each exactly once.")
        return 0
    print("", *complaints, f"\nThe stack's log ends with:\n{stack.last_lines()}", sep="\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
