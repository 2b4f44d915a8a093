"""Fields as projects write their own."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import models


@dataclass(frozen=True)
class Colour:
    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @classmethod
    def parse(cls, text: str) -> Colour:
        return cls(*bytes.fromhex(text.removeprefix("#")))


class ColourField(models.CharField):
    """Holds a `Colour`; written as the documentation of Django says, with `value_to_string`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 7, **kwargs})

    def to_python(self, value: Any) -> Colour | None:
        return value if value is None or isinstance(value, Colour) else Colour.parse(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(self.to_python(value))

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))


class ShoutingField(models.CharField):
    """Changes no value: only how it is shown in forms."""

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"help_text": "LOUD", **kwargs})


class EncryptedField(models.TextField):
    """Decrypts where it is loaded, as the fields of encryption packages do."""

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else base64.b64encode(str(value).encode()).decode()

    def from_db_value(self, value: str | None, *args: object) -> str | None:
        return None if value is None else base64.b64decode(value).decode()


class ConvertedField(models.TextField):
    """Decrypts by the other hook there is."""

    def get_db_converters(self, connection: object) -> list[Any]:
        return [self._decrypt]

    def _decrypt(self, value: str, *args: object) -> str:
        return value


class ChosenField(models.TextField):
    """Given its hook by instance."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_db_value = self._decrypt

    def _decrypt(self, value: str | None, *args: object) -> str | None:
        return value


class LabelField(models.TextField):
    """Loads into another type, which a project has registered as safe."""

    def from_db_value(self, value: str | None, *args: object) -> Label | None:
        return None if value is None else Label(value)

    def to_python(self, value: Any) -> Label | None:
        return value if value is None or isinstance(value, Label) else Label(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else value.text if isinstance(value, Label) else str(value)


@dataclass(frozen=True)
class Label:
    text: str
    none: ClassVar[str] = ""


class UpperKeyField(models.CharField):
    """A key that is loaded as an upper-case text."""

    def from_db_value(self, value: str | None, *args: object) -> str | None:
        return None if value is None else value.upper()


class PickyField(models.IntegerField):
    """Fails in its own code for one value."""

    def to_python(self, value: Any) -> int | None:
        if value == 13:
            raise RuntimeError("not this one")
        return super().to_python(value)


class NotesField(models.JSONField):
    """A JSON field that makes a list of whatever it holds."""

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, list) else [value]
