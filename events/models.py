"""The bus's tables. Times are the database's own `now()`: no two machines need agree on the hour."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.db.models.lookups import Exact, In


class State(models.TextChoices):
    WAITING = "waiting", "waiting"  # the relay is to send it, from next_at on
    SENT = "sent", "sent"  # in a message; the relay looks at it again at next_at
    RUNNING = "running", "running"  # a worker committed that it begins
    DONE = "done", "done"
    SKIPPED = "skipped", "skipped"
    DEAD = "dead", "dead letter"


UNFINISHED = (State.WAITING, State.SENT, State.RUNNING)
# The same for a filter, in literal words: SQLite uses a partial index only for a query that says its condition so,
# and reads the whole table for one that says it in parameters.
# A lookup: any other condition Django compares with true on MySQL, which then reads the whole table.
IS_UNFINISHED = In(models.F("state"), [RawSQL(f"'{state}'", ()) for state in UNFINISHED])  # noqa: S611 - our own words
IS_WAITING = Exact(models.F("state"), RawSQL(f"'{State.WAITING}'", ()))  # noqa: S611 - as above
IS_DEAD = Exact(models.F("state"), RawSQL(f"'{State.DEAD}'", ()))  # noqa: S611 - as above
FINISHED = (State.DONE, State.SKIPPED, State.DEAD)


class Size(models.Func):
    """Of a text, in bytes; none of it is sent here, and PostgreSQL doesn't even read it."""

    function = "OCTET_LENGTH"
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # In characters: SQLite has the other since 3.43 only.
        return self.as_sql(compiler, connection, function="LENGTH", **context)


class EventRecord(models.Model):
    """The outbox: one emitted event, written in the emitter's own transaction."""

    id = models.UUIDField(primary_key=True)
    type = models.CharField(max_length=200)
    subject = models.CharField(max_length=200, blank=True)
    correlation_id = models.UUIDField(db_index=True)
    causation_id = models.UUIDField(null=True, db_index=True)
    # Receiver's name → queue, as they were when the event was emitted.
    receivers: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField()
    # Names of those whose messages the emitter publishes itself, right after the commit.
    published: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    envelope = models.TextField()
    emitted_at = models.DateTimeField(db_default=Now())
    # When the relay has to look at it; NULL: nothing left for the relay to do here.
    next_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "offload_event"
        verbose_name = "event"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(
                fields=["next_at"], name="offload_event_due", condition=models.Q(next_at__isnull=False)
            ),
            models.Index(fields=["type", "emitted_at"], name="offload_event_type"),
            # By age, and on from any row of it: all events of one transaction are of the same age.
            models.Index(fields=["emitted_at", "id"], name="offload_event_age"),
        ]
        permissions: ClassVar = [("replay_eventrecord", "Can replay events")]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}".strip()


class Delivery(models.Model):
    """One event for one receiver, and what became of it."""

    # No constraint in the database: an event and its deliveries are pruned together, by us.
    event = models.ForeignKey(
        EventRecord, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="deliveries"
    )
    receiver = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State.choices)
    # Tries used up; a chunk's optimistic first run counts only when it fails.
    tries = models.PositiveIntegerField(default=0)
    # Times it was sent; 0 is the emitter's own message.
    attempt = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    # When the relay first found it neither in the broker nor with a worker.
    suspect_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=200, blank=True)
    # Its process died or ran out of time: it runs alone, and the try is counted before the run.
    careful = models.BooleanField(default=False)
    # The message it last ran in: the task id of its TaskResult.
    message_id = models.UUIDField(null=True)
    # Whose record it is: drawn anew by each attempt to run a message.
    claim = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)
    # What failures of one kind have in common: see events.delivery.fingerprints.
    fingerprint = models.CharField(max_length=16, blank=True, default="", db_default="")
    # The last tries that failed, each as events.delivery.failing writes it; NULL: none did.
    failures: models.JSONField[Any, Any] = models.JSONField(null=True)
    # When the relay last sent it; NULL: only its emitter did, right after the commit.
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "offload_delivery"
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [
            ("redeliver_delivery", "Can redeliver dead letters"),
            ("discard_delivery", "Can discard dead letters"),
            ("note_delivery", "Can write notes on failures"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event", "receiver"], name="offload_delivery_once"),
        ]
        indexes: ClassVar = [
            # The relay's work: touches unfinished rows only.
            models.Index(
                fields=["queue", "state", "next_at"],
                name="offload_delivery_due",
                condition=models.Q(state__in=["waiting", "sent", "running"]),
            ),
            # Whose turn it is, and what of it is due: each found at once, behind however many of another receiver's.
            models.Index(
                fields=["queue", "receiver", "next_at", "id"],
                name="offload_delivery_turn",
                condition=models.Q(state="waiting"),
            ),
            # Without those that wait, which have none: SQLite's ANALYZE would count a million NULLs as one message's
            # records, and the whole table would be read for those of any.
            models.Index(
                fields=["message_id"],
                name="offload_delivery_message",
                condition=models.Q(message_id__isnull=False),
            ),
            # By kind of failure: how many, since when and the latest are told without a look at the rows.
            models.Index(
                fields=["receiver", "fingerprint", "id", "finished_at"],
                name="offload_delivery_dead",
                condition=models.Q(state="dead"),
            ),
            # What ended in a minute: see events.relay.metering.
            models.Index(
                fields=["finished_at"],
                name="offload_delivery_finished",
                condition=models.Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.receiver} ({self.state})"


class Worker(models.Model):
    """A worker's own word: that it lives, what it serves, what it has in hand."""

    id = models.CharField(primary_key=True, max_length=200)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    left_at = models.DateTimeField(null=True)
    processes = models.PositiveIntegerField(default=1)
    queues: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    receivers: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    # [receiver, event id] of every delivery in the messages it has taken from the broker.
    held: models.JSONField[list[list[str]], list[list[str]]] = models.JSONField(default=list)

    class Meta:
        db_table = "offload_worker"

    def __str__(self) -> str:
        return self.id


class Queue(models.Model):
    """One relay at a time feeds a queue: the one that holds its lease."""

    name = models.CharField(primary_key=True, max_length=100)
    paused = models.BooleanField(default=False)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "offload_queue"
        permissions: ClassVar = [("pause_queue", "Can pause and resume queues and receivers")]

    def __str__(self) -> str:
        return self.name


class PausedReceiver(models.Model):
    """Paused by a person, or parked by the kill switch: docs/decisions/0014-kill-switch.md."""

    name = models.CharField(primary_key=True, max_length=200)
    since = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    why = models.CharField(max_length=500, blank=True, default="", db_default="")
    # When the next delivery is let through to see whether it has recovered; NULL: a person paused it.
    probe_at = models.DateTimeField(null=True)
    # The event whose delivery was let through last.
    probe = models.UUIDField(null=True)

    class Meta:
        db_table = "offload_paused_receiver"
        # As the admin lists them: its page shows those that run, too.
        verbose_name = "receiver"

    def __str__(self) -> str:
        return self.name


class Refusal(models.Model):
    """Messages a worker would not run: forged, altered, unknown or of a pruned event. See events.delivery.refusing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # The first of them and the last, whose id and worker are kept.
    first_at = models.DateTimeField(db_default=Now())
    at = models.DateTimeField(db_default=Now(), db_index=True)
    count = models.PositiveBigIntegerField(default=1)
    reason = models.CharField(max_length=300)
    receiver = models.CharField(max_length=200, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    worker = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "offload_refusal"
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return self.reason


class Minute(models.Model):
    """What ended in one minute, by receiver, queue and state; from here the figures come, never from the deliveries.

    `EVER` is no minute: it sums up all of them. Events have no receiver. See docs/decisions/0013-figures.md.
    """

    EMITTED: ClassVar = "emitted"
    EVER: ClassVar = datetime(1970, 1, 1, tzinfo=UTC)

    minute = models.DateTimeField()
    receiver = models.CharField(max_length=200, blank=True)
    queue = models.CharField(max_length=100, blank=True)
    # A delivery's last, or `EMITTED`.
    state = models.CharField(max_length=10)
    count = models.PositiveBigIntegerField(default=0)
    # Tries that failed before they ended so.
    failed_tries = models.PositiveBigIntegerField(default=0)
    # Numbers of deliveries by the bounds of events.histogram: from emission to the start, and from there to the end.
    wait: models.JSONField[list[int], list[int]] = models.JSONField(default=list)
    run: models.JSONField[list[int], list[int]] = models.JSONField(default=list)
    # Sums of the same, and the longest run.
    wait_ms = models.PositiveBigIntegerField(default=0)
    run_ms = models.PositiveBigIntegerField(default=0)
    slowest_ms = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "offload_minute"
        # As the admin lists it: its page shows what all of them say.
        verbose_name = "health"
        verbose_name_plural = "health"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["minute", "receiver", "queue", "state"], name="offload_minute_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.receiver} {self.state}"


class Meter(models.Model):
    """One relay at a time reads the meter. It has one row."""

    name = models.CharField(primary_key=True, max_length=20)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    read_at = models.DateTimeField(db_default=Now())
    # Minutes before it have been counted after their end; and once more, when nobody could add to them any more.
    counted_to = models.DateTimeField(null=True)
    settled_to = models.DateTimeField(null=True)
    # Whether the relays reach the broker, since when, and what it says if they don't.
    broker_ok = models.BooleanField(default=True)
    broker_since = models.DateTimeField(null=True)
    broker_error = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "offload_meter"

    def __str__(self) -> str:
        return self.name


class FlowMap(Queue):
    """No table of its own: what the admin hangs its drawing on, and the permission to look at it."""

    class Meta:
        proxy = True
        verbose_name = "flow map"
        verbose_name_plural = "flow map"


class Failure(Delivery):
    """Dead letters by kind of failure, as a page of the admin's own."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name_plural = "failures"


class Action(models.Model):
    """What a person did with events and deliveries: who, when, what, how many of them, and why.

    A running one is a job: relays work it off in small steps, see events.relay.jobs.
    """

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        STOPPED = "stopped", "stopped"

    at = models.DateTimeField(db_default=Now(), db_index=True)
    # A user's name; from the command line, with where it came from.
    by = models.CharField(max_length=200)
    # A past participle: redelivered, paused, noted.
    what = models.CharField(max_length=20)
    target = models.CharField(max_length=300, blank=True)
    # Deliveries, events or targets that it changed.
    count = models.PositiveBigIntegerField(default=0)
    # The reason; of a note, its text.
    why = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DONE)
    # Of a job: which dead letters (see events.relay.jobs.Chosen), how many that were, and how many it came to.
    chosen: models.JSONField[Any, Any] = models.JSONField(null=True)
    total = models.PositiveBigIntegerField(null=True)
    passed = models.PositiveBigIntegerField(default=0)
    # Ids of deliveries: the last one it came to, and the last there was when it was asked for.
    cursor = models.BigIntegerField(default=0)
    last = models.BigIntegerField(default=0)
    # Deliveries a second, at most; NULL: as fast as the relay goes.
    rate = models.FloatField(null=True)
    # Whether the rest waits until the first of them has succeeded, and which that is.
    first_alone = models.BooleanField(default=False)
    first = models.BigIntegerField(null=True)
    next_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Why it stopped.
    outcome = models.TextField(blank=True)

    class Meta:
        db_table = "offload_action"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["target"], name="offload_action_target"),
            models.Index(fields=["next_at"], name="offload_action_due", condition=models.Q(state="running")),
        ]

    def __str__(self) -> str:
        return f"{self.by} {self.what} {self.target}".strip()
