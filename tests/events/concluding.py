"""What stores a message's result, as its task would."""

from __future__ import annotations

import json

from django_celery_results.models import TaskResult

from events.delivery.concluding import Conclusion
from events.delivery.kept import Condition
from events.delivery.tally import Tally
from events.worker.results import write

CONCLUDED = "concluded"


def conclusion() -> Conclusion:
    return Conclusion(_store)


def concluded() -> dict[str, int] | None:
    """What it stored."""
    row = TaskResult.objects.filter(task_id=CONCLUDED).first()
    return json.loads(row.result) if row else None


def _store(tally: Tally, provided: Condition | None) -> bool:
    row = TaskResult(task_id=CONCLUDED, status="SUCCESS", result=json.dumps(tally.summary()), meta="{}")
    return write(row, "default", provided)
