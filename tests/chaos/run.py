"""The run: rounds of load, fault, recovery and ledger, and at the end everything once more."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from datetime import datetime
from random import Random

from tests.chaos import ledger, moments
from tests.chaos.faults import FAULTS
from tests.chaos.options import Options, Unusable
from tests.chaos.plan import Round, rounds, size_of_round
from tests.chaos.report import LIMIT, Result, header, line
from tests.chaos.stage import Stage, patiently

# Seconds a round takes about: no other is begun when less are left.
_A_ROUND = 25.0
# Seconds from the beginning of the round in peace to that of the next.
_PEACE = 20.0
# Seconds that the load has for the transactions before and after a fault.
_LOAD = 20.0


class Run:
    def __init__(self, options: Options, stage: Stage, faults: list[str], started: float) -> None:
        self.options = options
        self.stage = stage
        self.faults = faults
        self.started = started
        self.results: list[Result] = []
        self.together = options.together or size_of_round(options.minutes)

    def rounds(self) -> None:
        self.stage.say(header())
        for planned in rounds(self.options.seed, self.faults, self.together):
            if self._is_over():
                return
            result = self._round(planned)
            self.results.append(result)
            self.stage.say(line(result))
            for trouble in result.troubles:
                self.stage.say(f"      {trouble}")
            self.stage.fleet.trim_logs()
            if not planned.strikes and not result.is_well:
                raise Unusable("Even in peace something went wrong: no fault was tried.")

    def _is_over(self) -> bool:
        in_a_lap = math.ceil(len(self.faults) / self.together)
        # The first was in peace.
        if len(self.results) <= max(1, self.options.laps * in_a_lap):
            return False
        if sum(result.events for result in self.results) < self.options.events:
            return False
        return time.monotonic() - self.started + _A_ROUND > 60 * self.options.minutes

    def _round(self, planned: Round) -> Result:
        stage, result = self.stage, Result(number=planned.number, fault=planned.name)
        began = time.monotonic()
        if planned.number == 1 and "prune-dies-halfway" in self.faults:
            # So that a prune of the round before finds some that are old enough.
            time.sleep(max(0.0, _PEACE - self.results[0].seconds))
        since = stage.since = patiently(moments.now)
        pushes, destroyed, failed = stage.broker.pushes(), stage.broker.destroyed, stage.load.failures()
        stage.load.go(planned.number)
        for strike in planned.strikes:
            stage.load.wait_steps(strike.after, _LOAD)
            FAULTS[strike.fault].strike(stage, Random(strike.seed))
        ended = patiently(moments.now)
        stage.load.wait_steps(planned.tail, _LOAD)
        stage.load.pause()
        result.events = patiently(lambda: ledger.events_in(planned.number))
        result.deliveries = patiently(lambda: ledger.expected_in(planned.number))
        result.troubles += self._wait(result.deliveries, since)
        last = patiently(lambda: moments.last_finish(since, ended))
        result.recovery = max(0.0, (last - ended).total_seconds()) if last else None
        self._compare(result)
        result.messages = stage.broker.pushes() - pushes
        result.destroyed = stage.broker.destroyed - destroyed
        result.puts = patiently(lambda: moments.puts(since))
        result.failed, result.slowest = stage.load.failures() - failed, stage.load.slowest()
        result.troubles += [f"did not strike: {name}" for name in stage.missed]
        stage.missed.clear()
        result.seconds, result.machine = time.monotonic() - began, os.getloadavg()[0]
        return result

    def _wait(self, deliveries: int, since: datetime) -> Iterator[str]:
        """Until every delivery of the round is finished, those emitted after the fault included.

        As long as they go on: what comes too late is late, not lost.
        """
        last, at = -1, time.monotonic()
        while (finished := patiently(lambda: moments.finished_since(since))) < deliveries:
            if finished > last:
                last, at = finished, time.monotonic()
            elif time.monotonic() - at > LIMIT:
                yield f"{deliveries - finished} deliveries are unfinished, and none was finished in {LIMIT:.0f} s"
                return
            time.sleep(0.3)

    def _compare(self, result: Result) -> None:
        for trouble in patiently(lambda: ledger.of_round(result.number)):
            result.troubles.append(str(trouble))
            if trouble.what == ledger.LOST_EFFECTS:
                result.lost = trouble.number
            elif trouble.what == ledger.DOUBLED_EFFECTS:
                result.doubled = trouble.number
            else:
                result.ghosts = trouble.number
