"""The `EVENTS` setting itself: known keys, values of the right type."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from events.conf import KNOWN, Settings

# A limit of nothing is a limit; an interval of nothing is a mistake.
_MAY_BE_ZERO = frozenset({"MAX_INLINE_BYTES"})


@checks.register("offload")
def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    given = getattr(django_settings, "EVENTS", {})
    if not isinstance(given, Mapping):
        return [
            checks.Error(
                f"EVENTS must be a dict, got {given!r:.80}.",
                hint='Write EVENTS = {"QUEUES": [...], ...}, or leave it out for the defaults.',
                id="offload.E002",
            )
        ]
    return [*_unknown_keys(given), *_wrong_values(given), *_unknown_aliases(given.get("DATABASES"))]


def suggestion(name: object, known: typing.Iterable[str], otherwise: str) -> str:
    close = get_close_matches(str(name), list(known), n=1, cutoff=0.7)
    return f"Did you mean {close[0]!r}?" if close else otherwise


def _unknown_keys(given: Mapping[str, Any]) -> Iterator[checks.CheckMessage]:
    for key in given:
        if key not in KNOWN:
            yield checks.Error(
                f"EVENTS has no key {key!r}.",
                hint=suggestion(str(key).upper(), KNOWN, f"Its keys are {', '.join(sorted(KNOWN))}."),
                id="offload.E001",
            )


def _wrong_values(given: Mapping[str, Any]) -> Iterator[checks.CheckMessage]:
    hints = typing.get_type_hints(Settings)
    for key in sorted(KNOWN & given.keys()):
        wanted = _wanted(hints[key], zero=key in _MAY_BE_ZERO)
        if not _fits(given[key], hints[key], zero=key in _MAY_BE_ZERO):
            yield checks.Error(
                f"EVENTS[{key!r}] must be {wanted}, got {given[key]!r:.80}.",
                hint=f"Its default is {_default(key)!r}; the comments in events/conf.py say what it is for.",
                id="offload.E002",
            )


def _default(key: str) -> Any:
    return getattr(Settings(), key)


def _fits(value: Any, hint: Any, *, zero: bool) -> bool:
    if typing.get_args(hint) and type(None) in typing.get_args(hint):
        return value is None or _fits(value, typing.get_args(hint)[0], zero=zero)
    kind = typing.get_origin(hint) or hint
    if kind is tuple:
        # A bare text is a sequence of letters: QUEUES = "default" would be seven queues.
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) and item for item in value)
    if kind is Mapping:
        return isinstance(value, Mapping) and all(
            isinstance(item, str) for pair in value.items() for item in pair
        )
    if kind in (int, float):
        numbers = int if kind is int else (int, float)
        return (
            isinstance(value, numbers)
            and not isinstance(value, bool)
            and (value > 0 or (zero and value == 0))
        )
    return isinstance(value, kind)


def _wanted(hint: Any, *, zero: bool) -> str:
    if typing.get_args(hint) and type(None) in typing.get_args(hint):
        return f"{_wanted(typing.get_args(hint)[0], zero=zero)} or None"
    kind = typing.get_origin(hint) or hint
    number = "of 0 or more" if zero else "above 0"
    names: dict[Any, str] = {
        tuple: "a list of texts",
        Mapping: "a dict of texts",
        int: f"a whole number {number}",
        float: f"a number {number}",
        bool: "True or False",
        str: "a text",
    }
    return names[kind]


def _unknown_aliases(aliases: Any) -> Iterator[checks.CheckMessage]:
    if not isinstance(aliases, (list, tuple)):
        return
    for alias in aliases:
        if alias not in connections:
            yield checks.Error(
                f"EVENTS['DATABASES'] names {alias!r}, which is not in DATABASES.",
                hint=suggestion(alias, connections, f"The aliases are {', '.join(sorted(connections))}."),
                id="offload.E003",
            )
    if DEFAULT_DB_ALIAS not in aliases:
        yield checks.Error(
            f"EVENTS['DATABASES'] lacks {DEFAULT_DB_ALIAS!r}.",
            hint="Events of no alias in particular are stored there, and no relay would look at them: add it.",
            id="offload.E004",
        )
