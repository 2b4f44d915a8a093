"""gunicorn's configuration for `make run`: one process, a few threads, and the banner once it listens."""

from __future__ import annotations

import os
from typing import Any

from project.dev.ports import LOOPBACK

PORT = os.environ.get("PORT", "8000")
MAIL_PORT = os.environ.get("MAIL_PORT")
PASSWORD = os.environ.get("ADMIN_PASSWORD", "as printed above")

bind = f"{LOOPBACK}:{PORT}"
worker_class = "gthread"
workers = 1
threads = 8
preload_app = True  # a mistake in the code ends the start with its traceback, not a loop of dying workers
graceful_timeout = 5  # seconds
control_socket_disable = True  # Ctrl-C is control enough, and it would write to the home directory
loglevel = "warning"
accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s %(M)s ms"


def when_ready(server: Any) -> None:
    site = f"http://{LOOPBACK}:{PORT}/"
    lines = [f"The library:  {site}", f"The admin:    {site}admin/  (name admin, password {PASSWORD})"]
    if "MAIL_DIR" in os.environ:
        lines.append(f"Its mail:     http://{LOOPBACK}:{MAIL_PORT}/")
    lines.append("Ctrl-C stops everything.")
    width = max(map(len, lines))
    print("\n".join(["─" * width, *lines, "─" * width]), flush=True)
