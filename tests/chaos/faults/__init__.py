"""What is done to the processes while the load runs. Each fault returns when it has ended."""

from __future__ import annotations

from tests.chaos.faults import brokers, crashing, databases, processes
from tests.chaos.faults.registry import FAULTS, Fault, Need

# Those that take a minute and more.
LONG = frozenset(name for name in FAULTS if name.endswith(("-at-crashpoints", "-halfway")))

__all__ = ["FAULTS", "LONG", "Fault", "Need", "brokers", "crashing", "databases", "processes"]
