"""A site that runs already, for the reader's story: its pages, its database and a Mailpit for its mail."""

from __future__ import annotations

from dataclasses import dataclass

from project.dev.stack import get


@dataclass(frozen=True, slots=True)
class Elsewhere:
    site: str
    mailpit: str

    @property
    def environment(self) -> dict[str, str]:
        """Of the process that tells the story. It looks into the site's database, and sends nothing by itself."""
        return {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DEBUG": "on",
            "REDIS_URL": "",
            "BROKER_URL": "",
            "EMAIL_URL": "",
        }

    def mails(self) -> list[dict[str, object]]:
        """What its Mailpit holds, newest first, but the oldest beyond 1,000."""
        found = get(f"{self.mailpit.rstrip('/')}/api/v1/messages?limit=1000").json()["messages"]
        return [{"to": [to["Address"] for to in mail["To"]], "subject": mail["Subject"]} for mail in found]
