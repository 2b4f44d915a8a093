from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.dispatch import Signal
from django.test import Client
from django.test.signals import template_rendered
from PIL import Image

from library.models import Book

Heard = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def media_root(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def reader(db: None) -> User:
    return get_user_model().objects.create_user("rosa", "rosa@example.org", "a-long-password")


@pytest.fixture
def reader_client(reader: User) -> Client:
    client = Client()
    client.force_login(reader)
    return client


@pytest.fixture
def make_book(db: None) -> Callable[..., Book]:
    def make(title: str = "The Quiet River", **fields: Any) -> Book:
        return Book.objects.create(title=title, author=fields.pop("author", "Ines Petrov"), **fields)

    return make


@pytest.fixture
def heard() -> Callable[[Signal], AbstractContextManager[Heard]]:
    """What a signal sends while the block runs, as an in-process receiver gets it."""

    @contextmanager
    def listen(signal: Signal) -> Iterator[Heard]:
        calls: Heard = []

        def hear(**kwargs: Any) -> None:
            calls.append(kwargs)

        signal.connect(hear, weak=False)
        try:
            yield calls
        finally:
            signal.disconnect(hear)

    return listen


@pytest.fixture
def rendered(heard: Callable[[Signal], AbstractContextManager[Heard]]) -> Iterator[Callable[[], list[str]]]:
    """The names of the templates rendered so far."""
    with heard(template_rendered) as calls:
        yield lambda: [call["template"].name for call in calls]


def picture(
    name: str = "cover.png", format: str = "PNG", size: tuple[int, int] = (20, 30)
) -> SimpleUploadedFile:
    out = BytesIO()
    Image.new("RGB", size, "teal").save(out, format)
    return SimpleUploadedFile(name, out.getvalue())
