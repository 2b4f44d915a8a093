from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from PIL import Image

from events.serializers import plan_for
from tests.events.serializers.captured import copied, rebuilt, saved
from tests.zoo.models import Pictured

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that storages open from here on."""
    names: list[str] = []
    really = FileSystemStorage._open

    def note(self: FileSystemStorage, name: str, mode: str = "rb") -> Any:
        names.append(name)
        return really(self, name, mode)

    monkeypatch.setattr(FileSystemStorage, "_open", note)
    return names


def picture() -> ContentFile[bytes]:
    content = BytesIO()
    Image.new("RGB", (4, 3)).save(content, "PNG")
    return ContentFile(content.getvalue(), name="photo.png")


def test_image__arrives_with_its_name_and_dimensions_and_no_file_is_opened(opened: list[str]) -> None:
    arrived = saved(Pictured(photo=picture()))
    del opened[:]
    again = copied(Pictured.objects.get())
    assert opened == []
    for each in (arrived, again):
        assert (each.photo.name, each.width, each.height) == ("photo.png", 4, 3)


@pytest.mark.parametrize("loaded", [["photo"], ["photo", "width"]])
def test_image__without_its_dimensions_is_not_opened_and_causes_no_query(
    loaded: list[str], opened: list[str], django_assert_num_queries: Any
) -> None:
    Pictured.objects.create(photo=picture())
    snapshot = plan_for(Pictured).take(Pictured.objects.only(*loaded).get(), created=False)
    del opened[:]
    with django_assert_num_queries(0):
        arrived = rebuilt(Pictured, snapshot)
        assert arrived.photo.name == "photo.png"
    assert opened == []
    assert arrived.height == 3


def test_image__that_is_gone_arrives_all_the_same(media: Path) -> None:
    instance = Pictured.objects.create(photo=picture())
    instance.width = instance.height = None
    snapshot = plan_for(Pictured).take(instance, created=False)
    (media / "photo.png").unlink()
    arrived = rebuilt(Pictured, snapshot)
    assert (arrived.photo.name, arrived.height) == ("photo.png", None)


def test_file__arrives_in_the_storage_of_its_field() -> None:
    instance = Pictured(paper=ContentFile(b"text", name="a.txt"))
    arrived = saved(instance)
    assert arrived.paper == instance.paper
    assert arrived.paper.name == "papers/a.txt"
    assert arrived.paper.storage is Pictured._meta.get_field("paper").storage
    assert arrived.paper.url == "/elsewhere/papers/a.txt"
    with arrived.paper.open() as content:
        assert content.read() == b"text"


def test_file__none_and_empty_stay_apart() -> None:
    arrived = copied(Pictured(pk=1, photo=None, paper=""))
    assert (arrived.photo.name, arrived.paper.name) == (None, "")
    instance = Pictured(pk=1, photo=None)
    assert instance.photo.name is None  # which made a FieldFile of it
    assert copied(instance).photo.name is None


def test_file__not_yet_saved_is_withheld() -> None:
    instance = Pictured(pk=1, paper=ContentFile(b"text", name="a.txt"))
    assert plan_for(Pictured).take(instance, created=False).withheld == ("paper",)
    assert instance.paper.name == "a.txt"  # which made a FieldFile of it
    assert plan_for(Pictured).take(instance, created=False).withheld == ("paper",)


def test_file__deleted_arrives_as_the_program_sees_it() -> None:
    instance = Pictured.objects.create(paper=ContentFile(b"text", name="a.txt"))
    instance.paper.delete(save=False)
    assert copied(instance).paper == instance.paper
