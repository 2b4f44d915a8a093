"""gunicorn's configuration for a server: `gunicorn --config python:project.serving project.wsgi:application`."""

from __future__ import annotations

import os

bind = os.environ.get("BIND", "0.0.0.0:8000")  # of a container: compose publishes it on 127.0.0.1
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
preload_app = True  # a mistake in the code ends the start with its traceback, not a loop of dying workers
graceful_timeout = 25  # seconds; below the grace period of what supervises it
keepalive = 5  # seconds
worker_tmp_dir = "/dev/shm"  # noqa: S108 -- gunicorn's own heartbeat: on a disk it could stall
control_socket_disable = True  # it would be written to the home directory
accesslog = "-"
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(M)s ms'  # without the query: it may hold what is private
