from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.db.models import QuerySet

from library.conf import library_settings
from library.covers import CoverField
from library.exceptions import TooManyCategoriesError
from library.models import Book, Category


class BookForm(forms.ModelForm):
    # Shorter than the column by the folder and what the storage appends to a name that is taken.
    cover = CoverField(required=False, max_length=80)

    class Meta:
        model = Book
        fields = ["title", "author", "description", "categories", "cover"]
        widgets = {
            "title": forms.TextInput(attrs={"autocomplete": "off"}),
            "author": forms.TextInput(attrs={"autocomplete": "off"}),
            "description": forms.Textarea(attrs={"rows": 6}),
            "categories": forms.CheckboxSelectMultiple,
        }
        error_messages = {
            "title": {"required": "Give the book a title."},
            "author": {"required": "Say who wrote it; “Unknown” will do."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = library_settings()
        megabytes = settings.cover_max_bytes / 1024 / 1024
        self.fields["cover"].help_text = f"JPEG, PNG, WebP or GIF, {megabytes:g} MB at most."
        self.fields["categories"].help_text = f"Up to {settings.categories_per_book}."

    def clean_title(self) -> str:
        return " ".join(self.cleaned_data["title"].split())

    def clean_author(self) -> str:
        return " ".join(self.cleaned_data["author"].split())

    def clean_categories(self) -> QuerySet[Category]:
        chosen: QuerySet[Category] = self.cleaned_data["categories"]
        limit = library_settings().categories_per_book
        if len(chosen) > limit:
            raise forms.ValidationError(str(TooManyCategoriesError(limit)), code="too_many")
        return chosen


class SearchForm(forms.Form):
    """The catalogue's search. A form, so that what no database takes (a NUL in the text) stops here."""

    q = forms.CharField(label="Search", required=False, max_length=100)
    category = forms.SlugField(required=False, max_length=80)


class RegistrationForm(UserCreationForm):
    email = forms.EmailField(
        label="E-mail address",
        help_text="We send a welcome there, and nothing else.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={"required": "Give an e-mail address, so that we can welcome you."},
    )

    class Meta(UserCreationForm.Meta):
        model = get_user_model()
        fields = ["username", "email"]
