from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from benchmarks.lineup import SUBJECTS


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=lambda subject: subject.name)
def test_logging__every_filter_that_is_asked_for_is_there(subject: Any) -> None:
    """Else its processes end before they begin, and only the subjects that are installed would tell."""
    config = import_module(subject.settings).LOGGING

    asked = {
        name
        for part in ("handlers", "loggers")
        for one in config[part].values()
        for name in one.get("filters", [])
    }

    assert asked <= set(config["filters"])
