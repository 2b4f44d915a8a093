"""The bus's tables. Times are the database's own `now()`: no two machines need agree on the hour."""

from __future__ import annotations

from events.models.actions import Action
from events.models.deliveries import (
    FINISHED,
    IS_DEAD,
    IS_RETRYING,
    IS_UNFINISHED,
    IS_WAITING,
    UNFINISHED,
    Delivery,
    EventRecord,
    Size,
    State,
)
from events.models.figures import Meter, Minute
from events.models.fleet import PausedReceiver, Queue, Worker
from events.models.pages import Failure, FlowMap
from events.models.refusals import Refusal

__all__ = [
    "FINISHED",
    "IS_DEAD",
    "IS_RETRYING",
    "IS_UNFINISHED",
    "IS_WAITING",
    "UNFINISHED",
    "Action",
    "Delivery",
    "EventRecord",
    "Failure",
    "FlowMap",
    "Meter",
    "Minute",
    "PausedReceiver",
    "Queue",
    "Refusal",
    "Size",
    "State",
    "Worker",
]
