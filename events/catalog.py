"""The events that can happen here: what they are called, what they carry, who listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from events.flow.in_process import declared_events
from events.flow.naming import event_types
from events.registry import Binding, registry
from events.signals import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogField:
    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    type: str
    version: int = 1
    # What its declaration says it means; of a model's events, nothing is declared.
    description: str = ""
    # None where nothing is declared: a model's snapshot, or any argument.
    fields: tuple[CatalogField, ...] | None = None
    receivers: tuple[str, ...] = field(default_factory=tuple)


def catalog() -> list[Entry]:
    """Every declared event and every type that an offloaded receiver listens to, by type."""
    signals: dict[str, Any] = {}
    receivers: dict[str, set[str]] = {}
    for event in declared_events():
        signals[str(event.name)] = event
    for binding in registry.bindings():
        for type_ in _types(binding):
            signals.setdefault(type_, binding.signal)
            receivers.setdefault(type_, set()).add(binding.receiver.name)
    return [_entry(type_, signals[type_], sorted(receivers.get(type_, ()))) for type_ in sorted(signals)]


def _types(binding: Binding) -> tuple[str, ...]:
    return event_types(binding.signal, binding.sender)


def _entry(type_: str, signal: Any, receivers: list[str]) -> Entry:
    if not isinstance(signal, Event):
        return Entry(type=type_, receivers=tuple(receivers))
    fields = tuple(
        CatalogField(name=name, type=_shown(hint), required=name not in signal.optional)
        for name, hint in signal.fields.items()
    )
    # A class has a docstring of its own; only a declaration by function sets the instance's.
    text = (signal.__dict__.get("__doc__") or "").strip()
    return Entry(
        type=type_, version=signal.version, description=text, fields=fields, receivers=tuple(receivers)
    )


def _shown(hint: Any) -> str:
    if isinstance(hint, type) and not getattr(hint, "__args__", None):
        meta = getattr(hint, "_meta", None)
        return str(meta.label) if meta is not None else hint.__name__
    return str(hint).replace("typing.", "")
