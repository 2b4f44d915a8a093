"""A receiver that crashes, takes all memory or hangs, in the middle of a batch: what holds for everybody else."""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from django.db import transaction

from events.clock import LOOK_AFTER
from events.fast_path import fast_path
from events.models import Delivery, State
from events.relay.looking import LOOK_TWICE, LOST_OFTEN
from events.relay.workers import DEAD
from events.timing import GRACE, limits
from tests.processes.conftest import PATIENCE, Start, WorkerProcess, wait_for
from tests.shop.models import Effect
from tests.shop.poisons import LIMIT, TRIES, last_poison, poison

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

EXACT = ("take_in_transaction", "take_many")
KINDS = (*EXACT, "take_outside")
OTHERS = 5
MEGABYTE = 1024 * 1024


def emit(how: str, who: str = "") -> None:
    """A batch for each receiver, or for `who` alone, the poison in its middle."""
    with transaction.atomic():
        for number in range(OTHERS):
            if number == OTHERS // 2:
                poison.send(how=how, who=who)
            poison.send(how="none", who=who)


def deliveries(*kinds: str) -> dict[str, Counter[str]]:
    """State → how many, by receiver."""
    found: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for receiver, state in Delivery.objects.values_list("receiver", "state"):
        if receiver.rpartition(".")[2] in found:
            found[receiver.rpartition(".")[2]][state] += 1
    return found


def assert_poisoned(worker: WorkerProcess, seconds: float, *kinds: str) -> None:
    """The poison is a dead letter of each kind after its tries; everybody else's deliveries are done."""
    wanted: dict[str, Counter[str]] = {kind: Counter({State.DONE: OTHERS, State.DEAD: 1}) for kind in kinds}
    wanted["stand_by"] = Counter({State.DONE: OTHERS + 1})
    wait_for(lambda: deliveries(*wanted) == wanted, f"{wanted}", seconds, log=worker.log)
    dead = Delivery.objects.filter(state=State.DEAD)
    assert set(dead.values_list("tries", flat=True)) == {TRIES}
    effects = Counter(Effect.objects.filter(note="none").values_list("receiver", "key"))
    for kind in kinds:
        assert [count for (receiver, _), count in effects.items() if receiver == kind] == [1] * OTHERS
    assert not Effect.objects.filter(receiver__in=EXACT).exclude(note="none").exists()
    assert Effect.objects.filter(receiver="stand_by").count() == OTHERS + 1


# Seconds until what was sent and nobody holds is sent again, and once more for a message that was lost on the way.
LOOKED_FOR = 2 * (LOOK_AFTER + LOOK_TWICE)


@pytest.mark.parametrize("how", ["crash", "kill"])
def test_process_ends__of_its_batch_only_the_poison_is_a_dead_letter(start_worker: Start, how: str) -> None:
    worker = start_worker()
    emit(how)
    assert_poisoned(worker, PATIENCE + LOOKED_FOR, *KINDS)


# Seconds of a message of the whole batch, then of one careful message per try.
HANGS = limits("tests.shop.poisons.take_many", OTHERS + 1).hard + TRIES * (LIMIT + GRACE)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("hang", "take_in_transaction"),
        ("hang deaf", "take_outside"),
        ("hang stubbornly", "take_in_transaction"),
        ("hang stubbornly", "take_many"),
    ],
)
def test_hang__meets_its_time_limit_and_is_a_dead_letter(start_worker: Start, how: str, kind: str) -> None:
    worker = start_worker()
    emit(how, kind)
    assert_poisoned(worker, HANGS + LOOKED_FOR + PATIENCE, kind)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def give_memory(worker: WorkerProcess, megabytes: int) -> None:
    """So much more than it has: to each process of its pool, and, through the parent, to those to come."""
    for pid in [worker.pid, *children(worker.pid)]:
        has = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        limit = has + megabytes * MEGABYTE
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


def test_no_memory__is_a_failure_like_any_other(start_worker: Start) -> None:
    worker = start_worker()
    give_memory(worker, 200)
    emit("hoard")
    assert_poisoned(worker, PATIENCE + LOOKED_FOR, *KINDS)
    errors = list(Delivery.objects.filter(state=State.DEAD).values_list("error", flat=True))
    assert any("MemoryError" in error for error in errors), f"{errors}\n{worker.log.read_text()}"
    assert worker.process.poll() is None


def test_no_memory_left_to_record_it__ends_the_process_and_not_the_worker(start_worker: Start) -> None:
    worker = start_worker()
    give_memory(worker, 200)
    emit("hoard for ever")
    assert_poisoned(worker, PATIENCE + LOOKED_FOR, *KINDS)
    assert worker.process.poll() is None


class MemoryGroup:
    """A control group of this machine: its processes may have so much memory together, and the kernel ends one."""

    def __init__(self) -> None:
        self.directory, self.limit = _memory_groups()
        self.directory = self.directory / f"tests-{os.getpid()}"
        self.directory.mkdir()
        if not (self.directory / self.limit).exists():
            self.directory.rmdir()
            raise OSError(f"{self.directory.parent} limits no memory")

    def take(self, pid: int, megabytes: int) -> None:
        (self.directory / self.limit).write_text(str(megabytes * MEGABYTE))
        for one in [pid, *children(pid)]:
            (self.directory / "cgroup.procs").write_text(str(one))

    def kills(self) -> int:
        for name in ("memory.oom_control", "memory.events"):
            with suppress(FileNotFoundError):
                lines = (self.directory / name).read_text().splitlines()
                return int(dict(line.split() for line in lines)["oom_kill"])
        return 0


def _memory_groups() -> tuple[Path, str]:
    """The directory that new groups go into, and the name of the limit, as version 1 or 2 has them."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers == "memory":
            return Path("/sys/fs/cgroup/memory" + own), "memory.limit_in_bytes"
    return Path("/sys/fs/cgroup"), "memory.max"


@pytest.fixture
def memory_group() -> Iterator[MemoryGroup]:
    try:
        group = MemoryGroup()
    except OSError as reason:
        pytest.skip(f"no control group can be made here, and SIGKILL stands for the kernel's: {reason}")
    yield group
    wait_for(lambda: not (group.directory / "cgroup.procs").read_text(), "an empty group")
    group.directory.rmdir()


def test_out_of_memory__the_kernel_ends_the_process_and_the_poison_is_a_dead_letter(
    memory_group: MemoryGroup, start_worker: Start
) -> None:
    worker = start_worker()
    memory_group.take(worker.pid, 600)
    emit("grow")
    assert_poisoned(worker, PATIENCE + LOOKED_FOR, *KINDS)
    assert memory_group.kills() >= len(KINDS) * TRIES


# Seconds until the relay has looked twice for what it sent itself.
LOST = LOOK_AFTER + LOOK_TWICE


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_pool_without_processes__the_poison_ends_its_worker_and_is_a_dead_letter_in_the_end(
    start_worker: Start, pool: str
) -> None:
    with fast_path.suspended():
        last_poison.send(how="exit")
    row = Delivery.objects.filter(receiver__endswith="take_at_last")
    # A worker that dies at once never says what it held, so at first its message seems lost; the last of these runs
    # is counted, and the worker after that buries it.
    for _ in range(LOST_OFTEN + 1):
        # Started again, as a supervisor does.
        worker = start_worker("-P", pool)
        assert "time_limit='is not enforced" in worker.log.read_text()
        wait_for(partial(ended, worker), "the end of a worker", PATIENCE + LOST + DEAD, worker.log)
    last = start_worker("-P", pool)
    wait_for(row.filter(state=State.DEAD, tries=1).exists, "a dead letter", PATIENCE + LOST + DEAD, last.log)
    assert not ended(last)


def ended(worker: WorkerProcess) -> bool:
    return worker.process.poll() is not None
