from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT
from django.urls import reverse

from library.models import Book
from tests.library.conftest import picture

pytestmark = pytest.mark.django_db
ADD = reverse("library:book_add")


def upload(client: Client, cover: SimpleUploadedFile) -> Any:
    return client.post(ADD, {"title": "Rain", "author": "Ines", "cover": cover})


def upload_named(client: Client, name: str, content: bytes) -> Any:
    """As a hostile client writes it: Django's test client would clean the name before sending it."""
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (("title", "Rain"), ("author", "Ines"))
    )
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="cover"; filename="{name}"\r\n\r\n'
    body = fields.encode() + head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return client.generic("POST", ADD, body, content_type=MULTIPART_CONTENT)


def assert_refused(response: Any, reason: str) -> None:
    assert response.status_code == 422
    (error,) = response.context["form"].errors["cover"]
    assert reason in error
    assert not Book.objects.exists()


@pytest.mark.parametrize(
    ("name", "format"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.webp", "WEBP"), ("a.gif", "GIF")]
)
def test_cover__images_that_browsers_show_are_taken(reader_client: Client, name: str, format: str) -> None:
    assert upload(reader_client, picture(name, format)).status_code == 302


def test_cover__text_is_no_image(reader_client: Client) -> None:
    assert_refused(
        upload(reader_client, SimpleUploadedFile("a.png", b"not an image")), "not an image that can be read"
    )


def test_cover__an_empty_file_is_no_image(reader_client: Client) -> None:
    assert_refused(upload(reader_client, SimpleUploadedFile("a.png", b"")), "This file is empty.")


def test_cover__half_an_image_is_none(reader_client: Client) -> None:
    whole = picture(size=(300, 300)).read()
    assert_refused(
        upload(reader_client, SimpleUploadedFile("a.png", whole[: len(whole) // 2])), "not an image"
    )


@pytest.mark.parametrize("format", ["TIFF", "EPS", "BMP"])
def test_cover__other_formats_under_a_false_name_are_refused(reader_client: Client, format: str) -> None:
    assert_refused(upload(reader_client, picture("a.png", format)), "Choose a JPEG, PNG, WebP or GIF image.")


def test_cover__too_large_says_how_large_it_may_be(reader_client: Client, settings: Any) -> None:
    settings.LIBRARY = {"COVER_MAX_BYTES": 1024}
    file = SimpleUploadedFile("a.png", picture().read() + bytes(2048))
    assert_refused(upload(reader_client, file), "a cover may have 1.0\xa0KB at most")


def test_cover__too_many_pixels_are_refused_before_they_are_unpacked(
    reader_client: Client, settings: Any
) -> None:
    settings.LIBRARY = {"COVER_MAX_PIXELS": 100}
    assert_refused(upload(reader_client, picture(size=(20, 30))), "20 × 30 pixels")


def test_cover__a_decompression_bomb_is_a_form_error(
    reader_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    for size in ((11, 11), (30, 30)):  # Pillow warns of the first and refuses the second
        assert_refused(upload(reader_client, picture(size=size)), "not an image")


@pytest.mark.parametrize(
    "name", ["../../x", "..\\\\..\\\\x", "/etc/passwd", "x", ".png", "x.html", "x.png.exe", "x.svg"]
)
def test_cover__named_like_no_image_is_a_form_error(
    reader_client: Client, media_root: Path, name: str
) -> None:
    assert_refused(
        upload_named(reader_client, name, picture().read()), "doesn't end in .jpg, .jpeg, .png, .webp or .gif"
    )
    assert not list(media_root.parent.rglob("x*"))


@pytest.mark.parametrize("name", ["../../x.png", "..\\\\..\\\\x.png", "/tmp/x.png"])
def test_cover__a_path_before_an_image_name_leads_nowhere(
    reader_client: Client, media_root: Path, name: str
) -> None:
    assert upload_named(reader_client, name, picture().read()).status_code == 302
    assert Book.objects.get().cover.name == "covers/x.png"
    assert [file.relative_to(media_root) for file in media_root.rglob("*.png")] == [Path("covers/x.png")]


@pytest.mark.parametrize("name", ["", ".", "..", "../.."])
def test_cover__a_file_without_a_name_is_no_file(reader_client: Client, name: str) -> None:
    upload_named(reader_client, name, picture().read())
    assert not Book.objects.get().cover


@pytest.mark.parametrize("name", [f"{'x' * 300}.png", "x\x00.png", "ü ✓.png", "a.b" * 20 + ".png"])
def test_cover__strange_names_never_break_the_page(reader_client: Client, name: str) -> None:
    assert upload_named(reader_client, name, picture().read()).status_code in {302, 422}


def test_cover__two_of_one_name_do_not_overwrite_each_other(reader_client: Client) -> None:
    for _ in range(2):
        upload(reader_client, picture("same.png"))
    assert len({book.cover.name for book in Book.objects.all()}) == 2


def test_cover__the_admin_refuses_what_the_page_refuses(admin_client: Client) -> None:
    data = {"title": "Rain", "author": "Ines", "cover": SimpleUploadedFile("a.png", b"not an image")}
    response = admin_client.post(reverse("admin:library_book_add"), data)
    assert "not an image that can be read" in response.text
    assert not Book.objects.exists()
