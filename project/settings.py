"""Read from the environment, or from `.env` beside `manage.py`. Fit for production unless DEBUG is on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(str(BASE_DIR / ".env"))

DEBUG: bool = env.bool("DEBUG", default=False)
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).absolute()
VAR_DIR.mkdir(parents=True, exist_ok=True)  # SQLite makes its file, but not the directory

# --- Security ---------------------------------------------------------------------------------------------

SECRET_KEY: str = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Put it in the environment or in .env (`make setup` writes one), "
            "or set DEBUG=on to develop with a well-known key."
        )
    SECRET_KEY = "well-known-key-for-development-only-never-deploy-it-anywhere"  # noqa: S105 -- says so itself
# Signatures made with the keys of before are still accepted: rotate without losing messages or sessions.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

HTTPS: bool = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", default=HTTPS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# An hour, until one is sure that every subdomain speaks TLS: browsers remember it for that long.
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", default=3600 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.bool("BEHIND_PROXY", default=False):
    # Only with a proxy that sets or strips this header; otherwise any client could claim to use TLS.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Application ------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "events.apps.EventsConfig",
    "library",  # before the admin: its login and error templates win
    "workers",
    "django_celery_results",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "events.middleware.trace_context",  # around all that emits, the next one too
    "library.middleware.RequestTimingMiddleware",  # before the others: its time holds theirs
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SITE_URL: str = env.str("SITE_URL", default="")  # where links in mails lead
LIBRARY: dict[str, Any] = {"SLOW_REQUEST_MS": env.float("SLOW_REQUEST_MS", default=500.0)}
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "library:shelf"
LOGOUT_REDIRECT_URL = "library:catalogue"

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static"))).absolute()
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns about a missing one
MEDIA_URL = "media/"
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "media"))).absolute()
# Whether Django hands out uploaded files itself: only where no server in front of it does.
SERVE_MEDIA: bool = env.bool("SERVE_MEDIA", default=DEBUG)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG

# --- Database ---------------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SQLITE_OPTIONS: dict[str, Any] = {
    # Writers queue at BEGIN. With the default, two that read first and write then can only fail.
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,  # seconds a writer waits for its turn
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

MYSQL_OPTIONS: dict[str, Any] = {
    "charset": "utf8mb4",
    # Django's default too. With the server's own, gaps between rows are locked, and a transaction sees old ones.
    "isolation_level": "read committed",
    # Django reads every time as UTC; the server would write its machine's, which jumps twice a year.
    "init_command": "SET time_zone = '+00:00'",
}


def database() -> dict[str, Any]:
    if url := env.str("DATABASE_URL", default=""):
        if url.partition("://")[0] not in env.DB_SCHEMES:
            # Without the address itself: it may hold a password.
            raise ImproperlyConfigured(
                "DATABASE_URL is no database's address. Write postgres://user:password@host/name, "
                "or leave it out for SQLite."
            )
        config: dict[str, Any] = env.db_url("DATABASE_URL")
    else:
        config = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(VAR_DIR / "db.sqlite3")}
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = SQLITE_OPTIONS | config.get("OPTIONS", {})
    else:
        if config["ENGINE"].endswith("mysql"):
            config["OPTIONS"] = MYSQL_OPTIONS | config.get("OPTIONS", {})
        config["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
        # Behind a PgBouncer that lends connections for a transaction a cursor of the server's is soon another's.
        config["DISABLE_SERVER_SIDE_CURSORS"] = env.bool("DISABLE_SERVER_SIDE_CURSORS", default=False)
        config["CONN_HEALTH_CHECKS"] = True
    # Every writing request is one transaction: its rows and its events are kept, or neither.
    return config | {"ATOMIC_REQUESTS": True}


DATABASES = {"default": database()}
if DATABASES["default"]["ENGINE"].endswith("mysql"):
    # There are no partial indexes there: a migration of the bus makes full ones that serve as well.
    SILENCED_SYSTEM_CHECKS = ["models.W037"]

# --- Mail -------------------------------------------------------------------------------------------------

_mail: dict[str, Any] = env.email_url_config(env.str("EMAIL_URL", default="") or "smtp://127.0.0.1:25")
EMAIL_BACKEND: str = _mail["EMAIL_BACKEND"]
EMAIL_HOST: str = _mail["EMAIL_HOST"]
EMAIL_PORT: int = _mail["EMAIL_PORT"]
EMAIL_HOST_USER: str = _mail["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD: str = _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS: bool = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10  # seconds; without it a mail server that never answers would hold a worker for ever
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Library <library@example.org>")
ADMINS = [("Librarian", address) for address in env.list("ADMINS", default=["librarian@example.org"])]

# --- Events and Celery ------------------------------------------------------------------------------------

EVENTS: dict[str, Any] = {
    "SOURCE": "/library",
    "QUEUES": ["default", "emails", "audit", "recommendations", "files", "alerts"],
    "METRICS_TOKEN": env.str("METRICS_TOKEN", default=""),
    # Behind a PgBouncer that lends connections for a transaction nobody knows what its servers have prepared.
    "PREPARED_STATEMENTS": not DATABASES["default"].get("DISABLE_SERVER_SIDE_CURSORS"),
}

CELERY_BROKER_URL: str = (
    env.str("BROKER_URL", default="") or env.str("REDIS_URL", default="") or "redis://127.0.0.1:6379/0"
)
ON_RABBITMQ = CELERY_BROKER_URL.startswith(("amqp", "pyamqp"))
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker however long that is away
# A broker that is full or read-only refuses what a worker tells it: it connects anew, instead of ending.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    # Seconds. Longer than any receiver may run, or the broker hands its message out a second time.
    "visibility_timeout": 3600,
    # kombu's default is to wait for ever on a broker that accepts and never answers.
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
    "max_retries": 0,
    "health_check_interval": 10,
    "body_encoding": "utf-8",  # the body is JSON: base64 would only make it a third longer
}
# Of quorum queues a node that dies loses nothing.
QUEUE_ARGUMENTS = {"x-queue-type": "quorum"} if ON_RABBITMQ else None
if ON_RABBITMQ:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
    CELERY_BROKER_HEARTBEAT = 20  # seconds; a worker that vanished gives its messages back after twice that
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    # Celery makes its queues of delays where it finds quorum queues. Nothing of ours is ever put there.
    CELERY_BROKER_NATIVE_DELAYED_DELIVERY_QUEUE_TYPE = "classic"
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_QUEUES = [
    Queue(name, routing_key=name, queue_arguments=QUEUE_ARGUMENTS) for name in EVENTS["QUEUES"]
]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
# True would run a receiver that kills its process again without bound; the relay brings it back, counted.
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_PUBLISH_RETRY = False  # a request never waits for the broker: the relay publishes what failed
CELERY_TASK_TIME_LIMIT = 900  # seconds per message; below visibility_timeout
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = env.int("WORKER_MAX_TASKS_PER_CHILD", default=10_000)
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=2)
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0  # seconds to finish what is running
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # claims make a second run harmless
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # LOGGING below is the worker's too
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True  # names, arguments and worker beside each result
CELERY_RESULT_EXPIRES = timedelta(days=7)
CELERY_TIMEZONE = TIME_ZONE
CELERY_ENABLE_UTC = True
# Celery closes the database connection around every task, whatever CONN_MAX_AGE says, unless told this.
CELERY_DB_REUSE_MAX = 1000

# --- Logging ----------------------------------------------------------------------------------------------

# "json": one object in a line, with event_id, receiver and correlation_id where a receiver runs.
LOG_FORMAT: str = env.str("LOG_FORMAT", default="line")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{levelname:<7} {name}: {message}", "style": "{"},
        "json": {"()": "events.logs.JsonLines"},
    },
    "filters": {"events": {"()": "events.logs.EventContext"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["events"]}
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # One line per task received and per task succeeded would drown the rest.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
