"""`python -m tests.chaos.prune MOMENT`: prune what was finished before then, as a relay would by age."""

from __future__ import annotations

import sys
import time
from datetime import datetime

import django

# Seconds: the age stays the same while the prune runs, and its border moves on. It ends before that comes to the
# moment, however slow the machine is: what is left is another's.
MARGIN = 5.0


def main(moment: datetime) -> None:
    from events.relay.pruning import prune
    from tests.chaos import moments

    age = (moments.now() - moment).total_seconds() + MARGIN
    began = time.monotonic()
    for _ in prune("default", age / 86_400):
        if time.monotonic() - began > MARGIN / 2:
            break


if __name__ == "__main__":
    django.setup()
    main(datetime.fromisoformat(sys.argv[1]))
