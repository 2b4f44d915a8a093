"""What may be uploaded as a cover. Each refusal says what is wrong and what would do."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from library.conf import library_settings

FORMATS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",), "GIF": (".gif",)}
EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)
NOT_AN_IMAGE = "This file is not an image that can be read. Choose a JPEG, PNG, WebP or GIF image."


class CoverInput(forms.ClearableFileInput):
    template_name = "library/widgets/cover.html"


class CoverField(forms.ImageField):
    """An image of a format browsers show, of bounded size. Names and sizes are looked at before the content."""

    widget = CoverInput
    default_error_messages = {
        "invalid_image": NOT_AN_IMAGE,
        "empty": "This file is empty. Choose an image.",
        "missing": NOT_AN_IMAGE,
    }
    # Django's own list of extensions is every format Pillow knows, PostScript among them.
    default_validators = []

    def to_python(self, data: Any) -> Any:
        if isinstance(data, UploadedFile):
            self.check_name(data.name or "")
            self.check_size(data.size or 0)
        file = super().to_python(data)
        if file is not None and isinstance(file, UploadedFile):
            self.check_image(file)
        return file

    def check_name(self, name: str) -> None:
        # Django has already cut `../../x` down to `x`: a path in the name never reaches the storage.
        if PurePath(name).suffix.lower() not in EXTENSIONS:
            raise ValidationError(
                f"“{name}” doesn't end in {', '.join(EXTENSIONS[:-1])} or {EXTENSIONS[-1]}. Choose an image.",
                code="invalid_name",
            )

    def check_size(self, size: int) -> None:
        limit = library_settings().cover_max_bytes
        if size > limit:
            raise ValidationError(
                f"This file has {filesizeformat(size)}; a cover may have {filesizeformat(limit)} at most.",
                code="too_large",
            )

    def check_image(self, file: Any) -> None:
        if file.image.format not in FORMATS:
            raise ValidationError(NOT_AN_IMAGE, code="invalid_image")
        width, height = file.image.size
        if width * height > library_settings().cover_max_pixels:
            raise ValidationError(
                f"This image is {width} × {height} pixels, which is too many. Make it smaller.",
                code="too_many_pixels",
            )
