"""Asked by the health checks of containers: `alive.py web` or `alive.py worker`. Needs nothing but Python itself."""

import os
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

# Seconds. A worker touches its file every second, unless its loop stands still or it looks for its broker.
STALE = 30
PATIENCE = 4
# Rendered without a query: a database that is away is no reason to replace a web server.
PAGE = "/accounts/login/"


def web() -> None:
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".*") or "localhost"
    connection = HTTPConnection("127.0.0.1", 8000, timeout=PATIENCE)
    connection.request("GET", PAGE, headers={"Host": host})
    status = connection.getresponse().status
    # 301 where the site is to be visited by https: it answers.
    if status >= 400:
        sys.exit(f"GET {PAGE} with Host {host}: {status}")


def worker() -> None:
    age = time.time() - Path(os.environ["ALIVE_FILE"]).stat().st_mtime
    if age > STALE:
        sys.exit(f"its last sign of life was {age:.0f} s ago")


if __name__ == "__main__":
    {"web": web, "worker": worker}[sys.argv[1]]()
