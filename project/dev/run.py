"""`make run`: the broker, the mail sink, a worker and the web server in one terminal, until Ctrl-C."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import environ
from honcho import manager
from honcho.printer import Printer

from project.dev.broker import BrokerError, start_broker
from project.dev.ports import LOOPBACK, free_port, is_taken

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_BROKER_PORT = 6379
STOP_WITHIN = 20  # seconds for the worker to finish what it runs
STOPPED_BY_A_PERSON = {130, 143}  # SIGINT, SIGTERM


class CannotRun(Exception):
    """One line for the person at the terminal: what is wrong, and what to do."""


def port_from(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CannotRun(f"{variable}={text} is no port number. Give one: make run {variable}={default}")
    if is_taken(int(text)):
        raise CannotRun(f"Port {text} is taken. Choose another: make run {variable}={int(text) + 1}")
    return int(text)


def configure() -> None:
    """Fill in what the environment and `.env` leave open, for the processes that are started here."""
    environ.Env.read_env(str(ROOT / ".env"))
    os.environ.setdefault("DEBUG", "on")
    if environ.Env().bool("DEBUG"):
        os.environ.setdefault("ADMIN_PASSWORD", "admin")  # the site listens on this machine only
    os.environ.setdefault("VAR_DIR", str(ROOT / "var"))
    os.environ["PYTHONUNBUFFERED"] = "1"  # lines appear when they are written
    os.environ["PORT"] = str(port_from("PORT", 8000))
    os.environ.setdefault("SITE_URL", f"http://{LOOPBACK}:{os.environ['PORT']}")
    if not os.environ.get("EMAIL_URL"):
        configure_mail_sink()


def configure_mail_sink() -> None:
    smtp_port = free_port()
    os.environ |= {
        "MAIL_PORT": str(port_from("MAIL_PORT", 8025)),
        "MAIL_DIR": str(Path(os.environ["VAR_DIR"]) / "mail"),
        "SMTP_PORT": str(smtp_port),
        "EMAIL_URL": f"smtp://{LOOPBACK}:{smtp_port}",
    }


def broker_port() -> int:
    # Where commands in another terminal look for a broker by default, if nobody sits there.
    return port_from("BROKER_PORT", free_port() if is_taken(DEFAULT_BROKER_PORT) else DEFAULT_BROKER_PORT)


def manage(*arguments: str) -> None:
    """Run a management command; of its failure, the line that says why."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        # A traceback ends with `Kind: message`, and some messages go on in indented lines.
        reasons = re.findall(r"^[\w.]+: .*$", done.stderr, re.MULTILINE)
        reason = reasons[-1] if reasons else f"exit code {done.returncode}"
        raise CannotRun(
            f"{' '.join(arguments)}: {reason} (all of it: .venv/bin/python manage.py {arguments[0]})"
        )


def processes() -> dict[str, list[str]]:
    """Name → command of what runs side by side in the terminal."""
    mail = {"mail": ["-m", "project.dev.mailbox"]} if "MAIL_DIR" in os.environ else {}
    # In containers everybody is root; Celery's warning about it is for those who accept pickles.
    quiet = ["-W", "ignore:You're running the worker:UserWarning"]
    worker = [
        *quiet,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "project",
        "worker",
        "--loglevel",
        "INFO",
        "--without-mingle",
    ]
    web = ["-m", "gunicorn", "--config", "python:project.dev.web", "project.wsgi:application"]
    return {**mail, "worker": worker, "web": web}


def supervise(commands: dict[str, list[str]]) -> int:
    """Until one ends or a person stops us; then all end. The exit code."""
    manager.KILL_WAIT = STOP_WITHIN
    honcho = manager.Manager(Printer(sys.stdout))
    for name, arguments in commands.items():
        # `exec`: the signal reaches the program and not a shell in front of it.
        honcho.add_process(name, f"exec {shlex.join([sys.executable, *arguments])}", cwd=str(ROOT))
    honcho.loop()
    return 0 if honcho.returncode in STOPPED_BY_A_PERSON else int(honcho.returncode or 0)


def run() -> int:
    configure()
    with start_broker(Path(os.environ["VAR_DIR"]) / "broker", broker_port()) as broker:
        # As a second terminal needs it, for `manage.py events …` or another worker.
        print(f"Broker: {broker.origin}, REDIS_URL={broker.shown}", flush=True)
        # The one it speaks of, whatever `.env` says.
        os.environ |= {"REDIS_URL": broker.url, "BROKER_URL": ""}
        manage("migrate")
        manage("demo_data")
        # The demo's readings emitted nothing: what their receivers would have done is done here, once.
        manage("recommend", "--first")
        return supervise(processes())


def stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def hang_up(number: int, frame: FrameType | None) -> None:
    # By way of SIGTERM, which honcho answers once it has taken over.
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    # A supervisor's SIGTERM or a closed terminal stops everything just as Ctrl-C does.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, hang_up)
    try:
        return run()
    except (CannotRun, BrokerError) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
