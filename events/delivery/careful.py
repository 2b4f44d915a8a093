"""Deliveries whose process died while it held them: one per message, and the try is counted before the run.

A poison that ends its process is then a dead letter after its tries, instead of running for ever.
"""

from __future__ import annotations

import dataclasses

from django.db import transaction
from django.db.models.functions import Now

from events.clock import LOOK_AFTER, after
from events.crashpoints import crashpoint
from events.delivery.claiming import refuse_unrecorded
from events.delivery.decoding import Item
from events.delivery.fingerprints import fingerprint
from events.delivery.loose import give_back
from events.delivery.running import Run
from events.delivery.trouble import NotBegun
from events.identity import who
from events.models import Delivery, State


def run_careful(run: Run, item: Item) -> None:
    state = _begin(run, item)
    if state is None and refuse_unrecorded(run.claimer, [item]):
        run.tally.refused += 1
        return
    if state is not State.RUNNING:
        run.tally.failed(state)
        return
    crashpoint("careful.counted")
    begun = dataclasses.replace(item, recorded=True)
    try:
        run.chunks([begun])
    except BaseException as ending:
        if isinstance(ending, NotBegun) or not isinstance(ending, Exception):
            # A shutdown uses up no try.
            give_back(run, [begun])
        raise


def _begin(run: Run, item: Item) -> State | None:
    """Count the try and commit: running; dead where the tries are used up; None where it isn't ours."""
    with transaction.atomic(using=run.using):
        row = run.claimer.begin(item)
        if row is None:
            return None
        if row.tries >= run.receiver.retry.tries:
            _bury(row)
        else:
            row.tries += 1
            row.state, row.started_at, row.next_at = State.RUNNING, Now(), after(LOOK_AFTER)
        row.worker, row.message_id = who(), run.claimer.message_id
        row.save(using=run.using)
        return State(row.state)


def _bury(row: Delivery) -> None:
    row.state, row.finished_at, row.next_at = State.DEAD, Now(), None
    row.fingerprint = fingerprint(row.error)
