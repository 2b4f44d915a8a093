"""What people write today: a task, and a receiver that calls it after the commit. Not durable."""

from __future__ import annotations

from benchmarks.subjects.tasks import connect, recorded

__all__ = ["recorded"]

connect(lambda task, pk: task.delay_on_commit(pk))
