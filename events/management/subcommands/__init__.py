"""`manage.py events …`, one file for each."""

from events.management.subcommands.base import Subcommand
from events.management.subcommands.catalog import Catalog
from events.management.subcommands.discard import Discard
from events.management.subcommands.doctor import Doctor
from events.management.subcommands.failed import Failed
from events.management.subcommands.flow import ShowFlow
from events.management.subcommands.forget import Forget
from events.management.subcommands.list import List
from events.management.subcommands.pause import Pause
from events.management.subcommands.prune import Prune
from events.management.subcommands.relay import RunRelay
from events.management.subcommands.replay import Replay
from events.management.subcommands.resume import Resume
from events.management.subcommands.retry import Retry
from events.management.subcommands.status import Status
from events.management.subcommands.tail import Tail
from events.management.subcommands.trace import ShowTrace

# In the order of `--help`.
SUBCOMMANDS: dict[str, Subcommand] = {
    "list": List(),
    "flow": ShowFlow(),
    "catalog": Catalog(),
    "status": Status(),
    "tail": Tail(),
    "trace": ShowTrace(),
    "failed": Failed(),
    "retry": Retry(),
    "discard": Discard(),
    "replay": Replay(),
    "pause": Pause(),
    "resume": Resume(),
    "relay": RunRelay(),
    "prune": Prune(),
    "forget": Forget(),
    "doctor": Doctor(),
}
