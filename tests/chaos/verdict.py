"""What the run says at its end: the whole ledger once more, the sum of all rounds, and whether all is well."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import ledger
from tests.chaos.report import line, total, write
from tests.chaos.run import Run
from tests.chaos.stage import patiently


def judge(run: Run, summary: Path) -> bool:
    """Whether all was well, said and written down."""
    say = run.stage.say
    rolled_back = ledger.load_rolled_back(run.stage.directory.glob("rolled-back-*.txt"))
    troubles = [str(trouble) for trouble in patiently(lambda: ledger.of_all(run.stage.pruned))]
    unasked = [f"{name} ended by itself: {code}" for name, code in run.stage.fleet.unasked]
    all_rounds = total(run.results)
    say(line(all_rounds))
    say(f"{rolled_back} events were emitted and rolled back.")
    left_out = sorted(set(run.faults) - {name for r in run.results for name in r.fault.split(" + ")})
    if left_out:
        say(f"no time for: {', '.join(left_out)}")
    for trouble in [*troubles, *unasked]:
        say(trouble)
    # Celery's worker gives up on some errors of its broker and pool, and leaves it to its supervisor: said, no failure.
    wrong = [text for text in unasked if not text.startswith("worker-") or "did not stop" in text]
    well = not troubles and not wrong and all(result.is_well for result in run.results)
    options = run.options
    write(
        summary,
        run.results,
        seed=options.seed,
        well=well,
        database=run.stage.database.name,
        broker=run.stage.broker.origin,
        events=all_rounds.events,
        deliveries=all_rounds.deliveries,
        lost=all_rounds.lost,
        doubled=all_rounds.doubled,
        rolled_back=rolled_back,
        troubles=[*troubles, *unasked],
    )
    say(f"{'All is well.' if well else 'NOT WELL.'} Summary: {summary}")
    return well
