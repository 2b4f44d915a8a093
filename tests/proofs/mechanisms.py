"""What each guarantee rests on, by its number in README's table, and the test that misses it."""

from __future__ import annotations

from tests.proofs.mechanism import Edit, Mechanism, off

_JOURNAL = "tests/events/test_journal.py"
_RECOVERY = "tests/processes/test_recovery.py"
_TWO_WORKERS = "tests/processes/test_two_workers.py"
_MISBEHAVIOUR = "tests/processes/test_misbehaviour.py"
_OTHERS = "tests/events/test_isolation_of_queues.py"
_DELIVERY = "tests/events/test_delivery.py"
_KILL_SWITCH = "tests/events/test_kill_switch.py"
_JOBS = "tests/events/test_jobs.py"

ATOMIC = (
    off(
        1,
        "an error of any kind at commit rolls back",
        "events/journal.py",
        "            with suppress(Error):\n                connection.rollback()\n            raise",
        "            raise",
        f"{_JOURNAL}::test_error_of_any_kind_at_commit__rolls_the_transaction_back",
    ),
    off(
        1,
        "a savepoint rolled back takes its events along",
        "events/journal.py",
        "        del self.pending[mark.length :]\n",
        "",
        f"{_JOURNAL}::test_savepoint_rolled_back__takes_its_events_and_no_others",
    ),
    off(
        1,
        "an event whose flush was rolled back is written again",
        "events/journal.py",
        "                emission.flushed = None\n",
        "                pass\n",
        f"{_JOURNAL}::test_savepoint_rolled_back__an_event_flushed_within_it_is_written_again",
    ),
    off(
        1,
        "what could change before it is written is encoded at once",
        "events/capture/of_row.py",
        "            plan.is_fixed(self.held)\n",
        "            True\n",
        "tests/events/test_written_later.py::test_value_that_is_changed_in_place__is_in_the_event_as_it_was",
    ),
    off(
        1,
        "events are written in the emitter's transaction",
        "events/journal.py",
        "            journal.flush(is_last=is_django)\n            commit()",
        "            commit()\n            journal.flush()",
        f"{_RECOVERY}::test_emitter_dies_before_its_commit__neither_row_nor_event",
    ),
)

NOT_LOST = (
    off(
        2,
        "a message in hand keeps no place in a worker whose broker hangs",
        "events/worker/in_hand.py",
        "            keep_in_memory(channel, _is_ours)\n",
        "            pass\n",
        "tests/processes/test_frozen_broker.py",
    ),
    off(
        2,
        "the row of a dead worker goes",
        "events/relay/workers.py",
        "workers.filter(silent, pk=worker.pk).delete()",
        "workers.filter(silent, pk=worker.pk)",
        "tests/events/test_dead_workers.py",
    ),
    off(
        2,
        "the relay records what the emitter left",
        "events/relay/rounds.py",
        "done.materialised = materialise(using, workforce.held())",
        "done.materialised = 0",
        f"{_RECOVERY}::test_emitter_dies_after_its_commit__the_event_arrives_once",
    ),
    off(
        2,
        "the relay looks for what it cannot see",
        "events/relay/rounds.py",
        "done.lost += examine(using, queue, look.ids, workforce.held())",
        "pass",
        f"{_RECOVERY}::test_broker_emptied__what_was_in_it_is_sent_again",
    ),
    off(
        2,
        "a worker is alive on each database by itself",
        "events/worker/heartbeat.py",
        "            _try(partial(self._write, using))\n",
        "            self._write(using)\n",
        "tests/events/test_heartbeat.py::test_heartbeat__one_database_is_away__beats_on_the_others",
    ),
    off(
        2,
        "what a worker gives back is in its queue again",
        "events/transport/in_hand.py",
        "            pipe.execute()\n",
        "",
        "tests/processes/test_in_hand.py",
        "-k",
        "goes_back",
    ),
    off(
        2,
        "keys of before are still ours",
        "events/signing.py",
        "(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)",
        "(settings.SECRET_KEY,)",
        "tests/processes/test_wire_rotation.py",
        "-k",
        "both_keys",
    ),
    off(
        2,
        "a fork waits for the threads that use the database",
        "events/forking.py",
        "os.register_at_fork(",
        "(lambda **hooks: None)(",
        "tests/processes/test_forking.py",
    ),
)

# Whether the claims are there at the end: a question of its own, or a condition of the result's INSERT.
_NOBODY_ASKS = (
    Edit(
        file="events/delivery/chunk.py",
        old="if self.claimer.kept(_inserted(ours), took) != len(ours):",
        new="if False:",
    ),
    Edit(file="events/worker/results.py", old="if provided is not None:", new="if False:"),
)

EXACTLY_ONCE = (
    Mechanism(
        guarantee=3,
        name="the claim meets its rival",
        edits=(
            Edit(
                file="events/delivery/statements.py",
                old="OnConflict.IGNORE if where_none_is else None",
                new="OnConflict.IGNORE",
            ),
            # Which would notice: there are fewer records of this claim than it names.
            *_NOBODY_ASKS,
        ),
        test=(f"{_TWO_WORKERS}::test_same_messages_for_two_workers__one_effect_each[unrecorded_messages]",),
    ),
    off(
        3,
        "what may have been committed is not taken back",
        "events/delivery/chunk.py",
        "if self.begun and not self.commit.asked:",
        "if self.begun:",
        "tests/events/test_ended_transaction.py",
    ),
    off(
        3,
        "only the attempt that was sent last is run",
        "events/delivery/statements.py",
        "{quote('receiver')} = %s AND {quote('state')} = %s ",
        "{quote('receiver')} = %s AND {quote('state')} <> 'not ' || %s ",
        f"{_TWO_WORKERS}::test_same_messages_for_two_workers__one_effect_each[recorded_messages]",
    ),
    off(
        3,
        "claims of atomic=False are committed before the effect",
        "events/delivery/consuming.py",
        "state=State.DONE if receiver.atomic else State.RUNNING",
        "state=State.DONE",
        "tests/processes/test_crashpoints.py",
    ),
    Mechanism(
        guarantee=3,
        name="an event that is not in the outbox is refused",
        edits=(
            Edit(
                file="events/delivery/claiming.py",
                old="    if claimer.insert(items) == len(items):",
                new="    if claimer.insert(items) or True:",
            ),
            # Which would notice: its claim isn't there at the end.
            Edit(
                file="events/delivery/running.py",
                old="if not item.recorded and not refuse_strangers(self.claimer, [item]):",
                new="if False:",
            ),
        ),
        test=("tests/processes/test_foreign_messages.py::test_event_not_in_the_outbox__is_refused",),
    ),
)

ISOLATED = (
    Mechanism(
        guarantee=4,
        name="no receiver is trusted with its transaction",
        edits=(
            Edit(file="events/delivery/chunk.py", old="        assert_sound(connection)\n", new=""),
            *_NOBODY_ASKS,
        ),
        test=(_MISBEHAVIOUR, "-k", "in_its_transaction"),
    ),
    off(
        4,
        "a failing chunk is run one by one",
        "events/delivery/running.py",
        "            if len(items) > 1:\n                self._one_by_one(items)",
        "            if len(items) > 1:\n                for item in items:\n"
        "                    record_failure(self.claimer, self.receiver, item, error, counted=False)",
        f"{_DELIVERY}::test_chunk_with_a_failing_one__only_that_one_is_tried_again",
    ),
    off(
        4,
        "bytes that are no message end no worker",
        "events/worker/guard.py",
        "_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)",
        "_UNREADABLE = ()",
        "tests/processes/test_foreign_messages.py::test_bytes_that_are_no_message__are_refused",
    ),
    off(
        4,
        "a signature that does not fit is refused",
        "events/message.py",
        "        if not genuine:",
        "        if False:",
        "tests/events/test_message.py",
    ),
    off(
        4,
        "the soft limit strikes the receiver's own code alone",
        "events/delivery/time_limit.py",
        "if _Limit.ours and not _Limit.running:",
        "if False:",
        "tests/processes/test_soft_limit.py",
    ),
    off(
        4,
        "what an old worker doesn't know is put back",
        "events/worker/unknown.py",
        "parent.on_unknown_task = partial(_on_unknown_task, parent)",
        "pass",
        "tests/processes/test_rolling_deploy.py",
        "-k",
        "leaves_the_broker",
    ),
    off(
        4,
        "a newer version is put back",
        "events/delivery/consuming.py",
        "    items = _runnable(run, message, items)\n",
        "",
        "tests/processes/test_rolling_deploy.py",
        "-k",
        "event_of_the_new_version",
    ),
    off(
        4,
        "a message copied to another receiver is refused",
        "events/message.py",
        "if self.receiver != task:",
        "if False:",
        "tests/processes/test_wire_security.py::test_copied_to_another_of_the_events_own_receivers__is_refused",
    ),
    off(
        4,
        "a message that waits for a process goes back to its queue",
        "events/worker/ahead.py",
        "        if _has_begun(request) or request not in state.reserved_requests:\n",
        "        if True:\n",
        "tests/processes/test_ahead.py",
    ),
    off(
        4,
        "the receiver that had the last message comes last",
        "events/relay/feeding.py",
        'after=_last.get((using, queue), "")',
        'after=""',
        f"{_OTHERS}::test_receiver__waits_for_anothers_backlog_no_longer_than_a_message_of_each",
    ),
    off(
        4,
        "of an event in hand the others get their records",
        "events/relay/materialising.py",
        "    record(using, found)\n    return busy",
        "    kept = {first: [pk for pk in ids if pk not in busy] for first, ids in found.items()}\n"
        "    record(using, {first: ids for first, ids in kept.items() if ids})\n    return busy",
        f"{_OTHERS}::test_receiver_that_a_worker_has_in_hand__holds_up_none_of_the_events_others",
    ),
    off(
        4,
        "a round begins behind the queue that ended the one before",
        "events/relay/rounds.py",
        "_ended_at[using] = queue",
        "pass",
        f"{_OTHERS}::test_queue_that_the_broker_refuses__keeps_no_other_waiting",
    ),
    off(
        4,
        "a worker leaves SQLite's lock free after a long run",
        "events/delivery/gaps.py",
        "(took := time.monotonic() - began) >= _LONG",
        "False",
        "tests/processes/test_gaps.py",
    ),
)

BUDGET = (
    off(
        5,
        "a thread of its own talks to the broker",
        "events/fast_path.py",
        "self.courier.take(queues, Parcel(using, emissions))",
        "self._deliver([Load(0.0, queue, Parcel(using, emissions)) for queue in queues], True)",
        "tests/processes/test_budget.py::test_hung_broker__requests_are_answered_though_it_never_answers",
    ),
    off(
        5,
        "what is late is left to the relay",
        "events/fast_path.py",
        " and not self.courier.is_late(settings.PUBLISH_TIMEOUT)",
        "",
        "tests/processes/test_slow_broker.py",
        "-k",
        "drip",
    ),
    off(
        5,
        "a failed publish opens the breaker",
        "events/breaker.py",
        "        self._open = True\n",
        "        return\n",
        "tests/processes/test_slow_broker.py",
        "-k",
        "takes_nothing",
    ),
    off(
        5,
        "a probe writes",
        "events/transport/probing.py",
        'channel.client.execute_command("LINSERT", f"{channel.global_keyprefix}{key}", "BEFORE", "", "")',
        "channel.client.ping()",
        "tests/processes/test_slow_broker.py",
        "-k",
        "takes_nothing",
    ),
    off(
        5,
        "a fork begins anew",
        "events/fast_path.py",
        "    after_in_child=fast_path.begin_anew,\n",
        "",
        "tests/processes/test_budget_processes.py",
        "-k",
        "inherit",
    ),
    off(
        5,
        "a fork takes no lock along that another thread held",
        "events/ids.py",
        "os.register_at_fork(",
        "(lambda **hooks: None)(",
        "tests/processes/test_budget_processes.py",
        "-k",
        "another_thread_emits",
    ),
    off(
        5,
        "a process that ends hands over what it committed last",
        "events/fast_path.py",
        "atexit.register(fast_path.finish)\n",
        "",
        "tests/processes/test_budget_processes.py",
        "-k",
        "ends_at_once",
    ),
)

BACKLOG = (
    off(
        6,
        "the emitter publishes into a short queue only",
        "events/depths.py",
        "return self.of(queue) >= settings.WINDOW",
        "return False",
        "tests/processes/test_backlog.py::test_backlog__stays_out_of_the_broker_and_drains_once_each",
    ),
    off(
        6,
        "the relay's window counts its own messages",
        "events/relay/rounds.py",
        "room=window - look.relayed",
        "room=window - look.depth",
        "tests/processes/test_relays.py",
        "-k",
        "keep_filled",
    ),
    off(
        6,
        "a broker that takes nothing is asked before the next message",
        "events/relay/rounds.py",
        "        doubt.failed()\n",
        "",
        "tests/processes/test_relays.py",
        "-k",
        "takes_nothing",
    ),
    off(
        6,
        "one relay at a time feeds a queue",
        "events/relay/lease.py",
        "return rows.update(lease_owner=who(), lease_until=after(LEASE)) == 1",
        "return rows.update(lease_owner=who(), lease_until=after(LEASE)) in (0, 1)",
        "tests/processes/test_relays.py",
        "-k",
        "another_relay",
    ),
    off(
        6,
        "a relay stops when its lease is over",
        "events/relay/feeding.py",
        "while turn and sent < room and is_ours():",
        "while turn and sent < room:",
        "tests/processes/test_relays.py",
        "-k",
        "middle_of_a_round",
    ),
)

DEAD_LETTERS = (
    off(
        7,
        "the parent tells of a process that died",
        "events/worker/request.py",
        "            crashed.put((header, reason))",
        "            pass",
        _MISBEHAVIOUR,
        "-k",
        "exit",
    ),
    off(
        7,
        "a careful run counts its try first",
        "events/delivery/careful.py",
        "row.tries += 1",
        "row.tries += 0",
        _MISBEHAVIOUR,
        "-k",
        "exit",
    ),
    off(
        7,
        "what is lost again and again is taken for a poison",
        "events/relay/looking.py",
        "row.state == State.RUNNING or row.attempt - row.tries >= LOST_OFTEN",
        "row.state == State.RUNNING",
        "tests/processes/test_worker_faults.py",
        "-k",
        "pool_without_processes",
    ),
    off(
        7,
        "tries are limited",
        "events/delivery/failing.py",
        "dead = tries >= receiver.retry.tries or",
        "dead = False or",
        f"{_DELIVERY}::test_failure__is_tried_again_as_often_as_it_may_be",
    ),
)

# Of the same guarantee: an outage uses up no thousands of tries, and what it has used up is sent again.
KILL_SWITCH = (
    off(
        7,
        "a receiver that fails nearly always is parked",
        "events/delivery/kill_switch.py",
        "if failures > share * len(last):",
        "if False:",
        f"{_KILL_SWITCH}::test_parked__messages_on_their_way_are_put_back_without_a_try",
    ),
    off(
        7,
        "what was sent to a parked receiver uses no try",
        "events/delivery/consuming.py",
        "    if found.cover(message.receiver, message.queue) and not probes:",
        "    if False:",
        f"{_KILL_SWITCH}::test_parked__messages_on_their_way_are_put_back_without_a_try",
    ),
    Mechanism(
        guarantee=7,
        name="the rest of a message in which a receiver was parked uses no try",
        edits=(
            Edit(
                file="events/delivery/kill_switch.py",
                old="            self.parked = park(",
                new="            park(",
            ),
        ),
        test=(
            f"{_KILL_SWITCH}::test_parked__after_so_many_failures__in_the_middle_of_a_message_and_the_rest_uses_no_try",
        ),
    ),
    off(
        7,
        "a parked receiver is probed by one delivery at a time",
        "events/relay/probing.py",
        "rows.update(probe_at=after(settings.KILL_SWITCH_PROBE), probe=event_id) == 1",
        "rows.update(probe=event_id) == 1",
        f"{_KILL_SWITCH}::test_probe__one_delivery_at_its_time__and_when_it_fails_it_alone_has_used_a_try",
    ),
    off(
        7,
        "a worker runs the probe and nothing that looks like it",
        "events/pauses.py",
        "len(ids) == 1 and (receiver, ids[0]) in self.probes",
        "len(ids) == 1 and receiver in self.parked",
        f"{_KILL_SWITCH}::test_probe__one_delivery_at_its_time__and_when_it_fails_it_alone_has_used_a_try",
    ),
    off(
        7,
        "a probe that is done ends the parking",
        "events/delivery/kill_switch.py",
        "            self._probe = None if recover(self._using, self._receiver) else self._probe\n",
        "            pass\n",
        f"{_KILL_SWITCH}::test_probe__that_succeeds__lets_all_go_on",
    ),
    off(
        7,
        "a probe that is skipped doesn't",
        "events/delivery/kill_switch.py",
        "if self._probe and done:",
        "if self._probe:",
        f"{_KILL_SWITCH}::test_probe__that_is_skipped__is_no_answer__and_another_follows_at_once",
    ),
    off(
        7,
        "a person who pauses what is parked has the last word",
        "events/operations/pausing.py",
        "parked.update(probe_at=None, probe=None, **values)",
        "parked.update(**values)",
        f"{_KILL_SWITCH}::test_person__pauses_what_is_parked__and_nothing_is_let_through",
    ),
)

JOBS = (
    off(
        7,
        "a job's step and what it says of it are one transaction",
        "events/relay/jobs.py",
        "    with transaction.atomic(using=using):\n        job = ",
        "    if True:\n        job = ",
        f"{_JOBS}::test_step__killed_in_the_middle__is_as_if_never_begun",
    ),
    off(
        7,
        "a job passes each dead letter once",
        "events/relay/jobs.py",
        "rows.filter(pk__gt=job.cursor, pk__lte=job.last)",
        "rows.filter(pk__lte=job.last)",
        f"{_JOBS}::test_job__what_dies_again_is_not_tried_again_by_it",
    ),
    off(
        7,
        "a job takes its time",
        "events/relay/jobs.py",
        "after(len(keys) / job.rate if job.rate else 0)",
        "after(0)",
        f"{_JOBS}::test_job__at_a_rate__takes_as_many_as_a_second_allows_and_waits",
    ),
    off(
        7,
        "the rest waits for what becomes of the first",
        "events/relay/jobs.py",
        "if job.first is not None and not _is_settled(using, job, job.first):",
        "if False:",
        f"{_JOBS}::test_first_alone__it_fails_again__nothing_follows_until_somebody_says_so",
    ),
    off(
        7,
        "a step that fails stops its own job alone",
        "events/relay/jobs.py",
        "    except Exception as error:\n        # Tried again",
        "    except ZeroDivisionError as error:\n        # Tried again",
        f"{_JOBS}::test_step__fails__stops_its_job_and_says_why__the_others_have_their_turn",
    ),
    off(
        7,
        "a double click asks for one job",
        "events/operations/jobs.py",
        "        if same is not None:\n",
        "        if False:\n",
        f"{_JOBS}::test_start__twice_by_a_double_click__is_one_job",
    ),
    off(
        7,
        "only what is dead is sent again",
        "events/relay/letters.py",
        "filter(pk__in=keys, state=State.DEAD)",
        "filter(pk__in=keys)",
        "tests/events/test_operations_redelivering.py",
    ),
)

BOUNDED = (
    off(
        8,
        "finished events go in slices, each a transaction of its own",
        "events/relay/pruning.py",
        "    yield from _events(using, days, dry_run)\n",
        "    with transaction.atomic(using=using):\n        yield from _events(using, days, dry_run)\n",
        "tests/events/test_pruning.py::test_prune__fifty_thousand_rows__while_somebody_writes",
    ),
    off(
        8,
        "dead letters never go by themselves",
        "events/relay/pruning.py",
        "_FINAL = {State.DONE, State.SKIPPED}",
        "_FINAL = {State.DONE, State.SKIPPED, State.DEAD}",
        "tests/events/test_pruning.py::test_prune__event_with_one_delivery_not_final__stays_whole",
    ),
    off(
        8,
        "task results are pruned too",
        "events/relay/pruning.py",
        "in expired(using, days)",
        "in []",
        "tests/events/test_pruning_results.py",
    ),
    off(
        8,
        "a flood of refusals is a hundred rows",
        "events/delivery/refusing.py",
        "if rows.count() >= MOST:",
        "if False:",
        "tests/events/test_refusing.py",
    ),
    off(
        8,
        "a person who is forgotten leaves no data",
        "events/operations/forgetting.py",
        "        event.envelope = blanked(event.envelope)\n",
        "",
        "tests/events/test_operations_forgetting.py::test_forget__event_about_the_row__loses_its_data",
    ),
    off(
        8,
        "nor do the notes and reasons of those who dealt with it",
        "events/operations/forgetting.py",
        "    silenced = silence(using, [event.pk for event in events])\n",
        "    silenced = 0\n",
        "tests/events/test_operations_forgetting.py::test_forget__what_was_done_with_its_deliveries__stays_without_why",
    ),
    off(
        8,
        "secrets never leave the process",
        "events/serializers/sensitive.py",
        "return any(_SENSITIVE",
        "return False and any(_SENSITIVE",
        "tests/processes/test_wire_secrets.py::test_secrets__are_in_no_broker_table_result_or_log",
    ),
)

NO_LOOPS = (
    off(
        9,
        "the bus's own rows emit nothing",
        "events/bus.py",
        "bindings = [] if _is_silent(sender) else self._listening(sender)",
        "bindings = self._listening(sender)",
        "tests/events/test_capture.py::test_loops__tables_of_the_bus_and_results_never_emit",
    ),
)

MECHANISMS = (
    *ATOMIC,
    *NOT_LOST,
    *EXACTLY_ONCE,
    *ISOLATED,
    *BUDGET,
    *BACKLOG,
    *DEAD_LETTERS,
    *KILL_SWITCH,
    *JOBS,
    *BOUNDED,
    *NO_LOOPS,
)
