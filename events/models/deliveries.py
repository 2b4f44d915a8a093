"""What was emitted, and what became of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.db.models.lookups import Exact, GreaterThan, In


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
# It failed before, and waits to be tried again.
IS_RETRYING = IS_WAITING & GreaterThan(models.F("tries"), RawSQL("0", ()))
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
    # When a person had its event replayed to this receiver; NULL: it goes by when the event was emitted.
    asked_at = models.DateTimeField(null=True)
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
            # How many wait to be tried again, of whom, and the oldest event of them, without a look at the rows.
            models.Index(
                fields=["event", "queue", "receiver", "tries"],
                name="offload_delivery_retrying",
                condition=models.Q(state="waiting", tries__gt=0),
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
