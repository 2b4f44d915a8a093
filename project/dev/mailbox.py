"""The mail sink as a program: `python -m project.dev.mailbox` with a page that shows what arrived."""

from __future__ import annotations

import json
import os
import signal
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from project.dev.mail import Mail, MailSink
from project.dev.ports import LOOPBACK

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { width: 100%; border-collapse: collapse } td, th { text-align: left; padding: .4rem .8rem .4rem 0 }
tr { border-bottom: 1px solid #8884 } pre { white-space: pre-wrap }
iframe { width: 100%; height: 30rem; border: 1px solid #8884 }
"""


def as_dict(mail: Mail) -> dict[str, Any]:
    return {
        "number": mail.number,
        "message_id": mail.message_id,
        "to": mail.recipients,
        "subject": mail.subject,
        "text": mail.body("plain"),
        "html": mail.body("html"),
    }


def page(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>{body}"
    )


def index_page(mails: list[Mail]) -> str:
    rows = "".join(
        f"<tr><td>{mail.number}<td><a href='/{mail.number}'>{escape(mail.subject)}</a>"
        f"<td>{escape(', '.join(mail.recipients))}"
        for mail in reversed(mails)
    )
    table = f"<table><tr><th>No.<th>Subject<th>To</tr>{rows}</table>" if rows else "<p>None has arrived yet."
    return page("Mail that the library sent", table)


def mail_page(mail: Mail) -> str:
    headers = "".join(
        f"<tr><th>{name}<td>{escape(str(mail.message[name] or ''))}"
        for name in ("From", "To", "Date", "Message-ID")
    )
    html = mail.body("html")
    # Sandboxed: a message can't run scripts here, whatever it holds.
    frame = f"<h2>As HTML</h2><iframe sandbox srcdoc='{escape(html)}'></iframe>" if html else ""
    return page(
        mail.subject,
        f"<p><a href='/'>All mail</a> · <a href='/{mail.number}.eml'>as it was sent</a></p>"
        f"<table>{headers}</table><h2>As text</h2><pre>{escape(mail.body('plain'))}</pre>{frame}",
    )


def handler_for(sink: MailSink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, kind = self.path.strip("/").partition(".")
            mails = sink.mails
            if self.path == "/":
                self._answer("text/html", index_page(mails))
            elif self.path == "/messages.json":
                self._answer("application/json", json.dumps([as_dict(mail) for mail in mails]))
            elif not (found := [mail for mail in mails if str(mail.number) == name]):
                self.send_error(404)
            elif kind == "eml":
                self._answer("text/plain", found[0].path.read_text("utf-8", "replace"))
            else:
                self._answer("text/html", mail_page(found[0]))

        def _answer(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Looking at mail is no news."""

    return Handler


def announce(mail: Mail) -> None:
    print(f"to {', '.join(mail.recipients)}: {mail.subject}", flush=True)


def main() -> None:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    directory = Path(os.environ["MAIL_DIR"])
    with (
        MailSink(directory, int(os.environ["SMTP_PORT"]), announce) as sink,
        ThreadingHTTPServer((LOOPBACK, int(os.environ["MAIL_PORT"])), handler_for(sink)) as pages,
    ):
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        print(f"messages are kept in {directory}", flush=True)
        stopped.wait()
        pages.shutdown()


if __name__ == "__main__":
    main()
