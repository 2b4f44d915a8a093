"""The project's settings, with a database file, media and a broker address of this run's own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "TEST_RUN_DIR" not in os.environ:
    # Inherited by worker processes and by pytest-xdist's, so that they meet in the same directory.
    os.environ["TEST_RUN_DIR"] = tempfile.mkdtemp(prefix="library-tests-")
    atexit.register(shutil.rmtree, os.environ["TEST_RUN_DIR"], ignore_errors=True)
# Each of pytest-xdist's processes has its own, so that none removes another's files.
RUN_DIR = Path(os.environ["TEST_RUN_DIR"]) / os.environ.get("PYTEST_XDIST_WORKER", "alone")
TESTS = Path(__file__).resolve().parent

os.environ["DEBUG"] = "off"
os.environ["VAR_DIR"] = str(RUN_DIR)
# On a busy machine a page may be slow, and an event about that is no part of what a test counts.
os.environ.setdefault("SLOW_REQUEST_MS", "600000")
os.environ.setdefault("SECRET_KEY", "a-key-for-the-tests-that-is-long-enough-for-the-deployment-check")
if "TEST_BROKER_URL" not in os.environ:
    # A port that refuses: only tests that ask for the `broker` fixture reach one.
    on_rabbitmq = os.environ.get("TEST_BROKER") == "rabbitmq"
    os.environ["TEST_BROKER_URL"] = "amqp://127.0.0.1:1//" if on_rabbitmq else "redis://127.0.0.1:1/0"
os.environ["BROKER_URL"] = os.environ["TEST_BROKER_URL"]

from project.settings import *  # noqa: E402, F403 -- a settings module extends another; after the environment
from project.settings import DATABASES, EVENTS, INSTALLED_APPS, SQLITE_OPTIONS, STORAGES  # noqa: E402 -- after the environment

# Celery's own command line would take it for what comes before all settings.
del os.environ["BROKER_URL"]

# Each directory of tests with models is an app: `tests.shop`, `tests.zoo`.
INSTALLED_APPS = [*INSTALLED_APPS, *sorted(f"tests.{m.parent.name}" for m in TESTS.glob("*/models.py"))]

SECURE_SSL_REDIRECT = False  # the test client speaks plain HTTP
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real ones are slow on purpose

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: worker processes open it too.
    DATABASES["default"]["TEST"] = {"NAME": str(RUN_DIR / "test.sqlite3")}

# Only tests that say so look into the second.
EVENTS = EVENTS | {"DATABASES": ["default"]}
# Nothing emits on the other, where they don't.
SILENCED_SYSTEM_CHECKS = [*globals().get("SILENCED_SYSTEM_CHECKS", ()), "offload.W010"]
if os.environ.get("EVENTS_RELAY") == "off":
    # For processes of tests that publish by themselves.
    EVENTS = EVENTS | {"RELAY": False}

if "TEST_KILL_SWITCH_PROBE" in os.environ:
    # For a test that waits for some.
    EVENTS = EVENTS | {"KILL_SWITCH_PROBE": float(os.environ["TEST_KILL_SWITCH_PROBE"])}

if "TEST_LOOK_AHEAD" in os.environ:
    # For a test whose runs have to be short, however slow the machine.
    EVENTS = EVENTS | {"LOOK_AHEAD": float(os.environ["TEST_LOOK_AHEAD"])}

if os.environ.get("TEST_OTHER_DATABASE", "on") == "on":
    # A second database with an outbox of its own, for the tests that say so; started processes have the first.
    DATABASES["other"] = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(RUN_DIR / "other.sqlite3"),
        "OPTIONS": SQLITE_OPTIONS,
        "TEST": {"NAME": str(RUN_DIR / "other.sqlite3")},
    }
