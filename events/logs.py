"""What is logged while a receiver runs says of which event and receiver; and lines that machines read."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from events.context import handled

FIELDS = ("event_id", "receiver", "correlation_id")


class EventContext(logging.Filter):
    """Gives each record `event_id`, `receiver` and `correlation_id`: "" where no receiver runs.

    Of a receiver that was given several events, the receiver alone.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        here = handled()
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, here.get(name, ""))
        return True


class JsonLines(logging.Formatter):
    """One JSON object in a line. What has no value is left out."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name in FIELDS if (value := getattr(record, name, ""))},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
