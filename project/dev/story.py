"""A reader's story: each step does something on the site as a person would, and names what must follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Protocol
from urllib.parse import urljoin

from django.conf import settings
from django.contrib.auth import get_user_model
from django.urls import reverse
from PIL import Image

from events.models import Delivery, State
from library.models import AuditEntry, Book, Category, Profile, Reading, Recommendation
from project.dev.browser import Browser, File
from project.dev.effects import Effect
from project.dev.stack import get

NAME, EMAIL = "ada", "ada@example.org"
PASSWORD = "a quiet corner by the window"  # noqa: S105 -- of a reader who lives as long as the demo
TITLE = "The Analytical Engine"


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    act: Callable[[], None]
    effects: Callable[[], list[Effect]]


def picture(color: str) -> File:
    content = BytesIO()
    Image.new("RGB", (240, 360), color).save(content, "PNG")
    return f"{color}.png", content.getvalue(), "image/png"


def audited(action: str, wanted: int = 1, /, **about: object) -> Effect:
    return Effect(f"audit entry {action}", AuditEntry.objects.filter(action=action, **about).count, wanted)


class Place(Protocol):
    """Where it is played. The settings name the site's database."""

    @property
    def site(self) -> str: ...

    def mails(self) -> list[dict[str, object]]: ...


@dataclass(slots=True)
class Story:
    stack: Place
    admin_password: str
    reader: Browser = field(init=False)
    book_id: int = 0
    covers: list[str] = field(default_factory=list)  # file names, oldest first

    def __post_init__(self) -> None:
        self.reader = Browser(self.stack.site)

    @property
    def book(self) -> Book:
        return Book.objects.get(pk=self.book_id)

    def file(self, name: str) -> Callable[[], int]:
        """1 while an uploaded file of that name is there, 0 when it is gone."""
        address = urljoin(self.stack.site, f"{settings.MEDIA_URL}{name}")
        return lambda: {200: 1, 404: 0}[get(address).status_code]

    @property
    def subject(self) -> str:
        return f"library.book/{self.book_id}"

    def steps(self) -> Iterator[Step]:
        yield Step("registers", self.register, self.welcomed)
        yield Step("logs in", self.log_in, lambda: [audited("user.logged_in", actor__username=NAME)])
        yield Step("adds a book with a cover", self.add_book, self.book_recorded)
        yield Step("puts it in categories", self.sort_book, self.sorting_recorded)
        yield Step("reads it", self.read_book, self.reading_counted)
        yield Step("replaces the cover", self.replace_cover, self.old_cover_gone)
        yield Step("deletes it", self.delete_book, self.book_gone)
        yield Step("is refused the deletion of a featured book", self.delete_featured, self.featured_stays)

    # --- registers, logs in ---

    def register(self) -> None:
        page = self.reader.open(reverse("library:register"))
        self.reader.submit(
            page, page.form(""), username=NAME, email=EMAIL, password1=PASSWORD, password2=PASSWORD
        )

    def welcomed(self) -> list[Effect]:
        user = get_user_model()._default_manager.filter(username=NAME)
        return [
            Effect("an account", user.count),
            Effect("its profile", Profile.objects.filter(user__username=NAME).count),
            Effect("welcome mail", lambda: sum(EMAIL in str(mail["to"]) for mail in self.stack.mails())),
            audited("user.registered", actor__username=NAME),
        ]

    def log_in(self) -> None:
        page = self.reader.open(reverse("login"))
        self.reader.submit(page, page.form(""), username=NAME, password=PASSWORD)

    # --- adds a book, puts it in categories, reads it ---

    def add_book(self, color: str = "teal") -> None:
        page = self.reader.open(reverse("library:book_add"))
        self.reader.submit(
            page, page.form(""), files={"cover": picture(color)}, title=TITLE, author="A. Lovelace"
        )
        book = Book.objects.get(title=TITLE)
        self.book_id = book.pk
        self.covers = [book.cover.name]

    def book_recorded(self) -> list[Effect]:
        return [
            Effect("the book with its cover", self.file(self.covers[0]), lasts=False),
            audited("book.created", subject=self.subject, actor__username=NAME),
        ]

    def sort_book(self) -> None:
        page = self.reader.open(reverse("library:book_edit", args=[self.book.slug]))
        # The fullest ones: their readers get to hear of the book.
        chosen = list(
            Category.objects.filter(books__isnull=False).distinct().values_list("pk", flat=True)[:2]
        )
        self.reader.submit(page, page.form(""), categories=chosen)

    def sorting_recorded(self) -> list[Effect]:
        # What it changes for whom depends on the demo data; that it was done can be told for certain.
        anew = Delivery.objects.filter(
            receiver="workers.recommendations.recommend_after_sorting",
            event__subject=self.subject,
            state=State.DONE,
        )
        return [
            Effect("the book's two categories", self.book.categories.count, wanted=2, lasts=False),
            audited("book.categories_added", subject=self.subject),
            Effect("recommendations of the categories' readers computed anew", anew.count),
        ]

    def read_book(self) -> None:
        page = self.reader.open(self.book.get_absolute_url())
        self.reader.submit(page, page.form(reverse("library:book_read", args=[self.book.slug])))

    def reading_counted(self) -> list[Effect]:
        profile = Profile.objects.filter(user__username=NAME)
        return [
            Effect("the book on the shelf", Reading.objects.filter(user__username=NAME).count, lasts=False),
            Effect("books read", lambda: profile.get().books_read),
            Effect("recommendations on the shelf", self.shelf_shows_recommendations, lasts=False),
        ]

    def shelf_shows_recommendations(self) -> int:
        mine = list(Recommendation.objects.filter(user__username=NAME).select_related("book")[:1])
        shelf = self.reader.open(reverse("library:shelf")).text
        return int(bool(mine) and all(one.book.get_absolute_url() in shelf for one in mine))

    # --- replaces the cover, deletes the book ---

    def replace_cover(self) -> None:
        page = self.reader.open(reverse("library:book_edit", args=[self.book.slug]))
        self.reader.submit(page, page.form(""), files={"cover": picture("crimson")})
        self.covers.append(self.book.cover.name)

    def old_cover_gone(self) -> list[Effect]:
        before, after = self.covers
        return [
            Effect("files of the old cover", self.file(before), wanted=0),
            Effect("files of the new cover", self.file(after), lasts=False),
            audited("book.updated", subject=self.subject, changes__cover__after=after),
        ]

    def delete_book(self) -> None:
        page = self.reader.open(reverse("library:book_delete", args=[self.book.slug]))
        self.reader.submit(page, page.form(""))

    def book_gone(self) -> list[Effect]:
        return [
            Effect("rows of the book", Book.objects.filter(pk=self.book_id).count, wanted=0),
            Effect("files of its cover", self.file(self.covers[-1]), wanted=0),
            audited("book.deleted", subject=self.subject),
        ]

    # --- is refused the deletion of a featured book ---

    def delete_featured(self) -> None:
        """While the reader hesitates on the page that asks “really?”, the librarian features the book."""
        self.add_book("olive")  # a file name of its own: the first one must stay gone
        page = self.reader.open(reverse("library:book_delete", args=[self.book.slug]))
        self.feature_book()
        self.reader.submit(page, page.form(""), expect=409)

    def feature_book(self) -> None:
        librarian = Browser(self.stack.site)
        page = librarian.open(reverse("admin:login"))
        librarian.submit(
            page, page.form(reverse("admin:login")), username="admin", password=self.admin_password
        )
        page = librarian.open(reverse("admin:library_book_change", args=[self.book_id]))
        librarian.submit(page, page.form(""), is_featured="on", _save="Save")
        librarian.close()

    def featured_stays(self) -> list[Effect]:
        return [
            Effect(
                "the featured book still there", Book.objects.filter(pk=self.book_id, is_featured=True).count
            ),
            Effect("files of its cover", self.file(self.covers[0])),
            audited("book.deleted", 0, subject=self.subject),
        ]
