"""`python -m tests.chaos.prune MOMENT`: prune what was finished before then, as a relay would by age."""

from __future__ import annotations

import sys
from datetime import datetime

import django

# Seconds: the age stays the same while the prune runs, and its border moves on.
MARGIN = 5.0


def main(moment: datetime) -> None:
    from events.relay.pruning import prune
    from tests.chaos import moments

    age = (moments.now() - moment).total_seconds() + MARGIN
    for _ in prune("default", age / 86_400):
        pass


if __name__ == "__main__":
    django.setup()
    main(datetime.fromisoformat(sys.argv[1]))
