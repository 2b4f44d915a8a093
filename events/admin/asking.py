"""What a person asks for on the pages of failures: which dead letters, and what to do with them."""

from __future__ import annotations

from typing import Any

from django import forms

from events.models import Action
from events.operations.jobs import What, start
from events.relay.jobs import Chosen

# Of a discard.
NO_REASON = "Say why: it is all that will be known of them."
DEED = {"redeliver": "redelivered", "discard": "discarded"}


class ChosenForm(forms.Form):
    """The filter. Every field may be empty."""

    receiver = forms.CharField(required=False, max_length=200)
    queue = forms.CharField(required=False, max_length=100)
    type = forms.CharField(required=False, max_length=200)
    since = forms.DateTimeField(required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))
    until = forms.DateTimeField(required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))

    def chosen(self, fingerprint: str | None = None, keys: tuple[int, ...] | None = None) -> Chosen:
        """Call it when the form is valid."""
        return Chosen(**self.cleaned_data_of_filter(), fingerprint=fingerprint, keys=keys)

    def cleaned_data_of_filter(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ChosenForm.base_fields}


class AskForm(ChosenForm):
    """The filter, and what to do."""

    act = forms.ChoiceField(choices=[(act, act) for act in DEED])
    # Only where `one_kind` is given, and then possibly "": the kind of those that have none.
    fingerprint = forms.CharField(required=False, max_length=16)
    one_kind = forms.BooleanField(required=False)
    rate = forms.FloatField(required=False, min_value=0.001, max_value=1_000_000)
    limit = forms.IntegerField(required=False, min_value=1)
    first = forms.BooleanField(required=False)
    why = forms.CharField(required=False, max_length=2_000)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("act") == "discard" and not data.get("why"):
            self.add_error("why", NO_REASON)
        return data

    def start(self, using: str, keys: tuple[int, ...] | None, *, by: str) -> Action:
        """Call it when the form is valid. Raises `NothingChosen`."""
        data = self.cleaned_data
        what: What = "discarded" if data["act"] == "discard" else "redelivered"
        return start(
            using,
            self.chosen(data["fingerprint"] if data["one_kind"] else None, keys),
            what,
            by=by,
            why=data["why"],
            rate=data["rate"],
            first_alone=data["first"] and what == "redelivered",
            limit=data["limit"],
        )
