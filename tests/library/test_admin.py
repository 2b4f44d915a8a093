from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from library.models import AuditEntry, Book, Category, Reading, Recommendation

pytestmark = pytest.mark.django_db
MODELS = ["auditentry", "book", "category", "profile", "reading", "recommendation"]


@pytest.mark.parametrize("model", MODELS)
def test_admin__lists_and_searches_and_shows_every_model(
    admin_client: Client, make_book: Callable[..., Book], reader: User, model: str
) -> None:
    book = make_book()
    rows = {
        "auditentry": AuditEntry.objects.create(idempotency_key="k", action="a", actor=reader),
        "book": book,
        "category": Category.objects.create(name="Poetry"),
        "profile": reader.profile,
        "reading": Reading.objects.create(user=reader, book=book),
        "recommendation": Recommendation.objects.create(user=reader, book=book, score=1),
    }
    listing = reverse(f"admin:library_{model}_changelist")
    assert admin_client.get(listing).status_code == 200
    assert admin_client.get(listing, {"q": "rosa"}).status_code == 200
    shown = admin_client.get(reverse(f"admin:library_{model}_change", args=[rows[model].pk]))
    assert shown.status_code == 200
    assert str(rows[model])


def test_admin__adds_a_book_whose_slug_follows(admin_client: Client) -> None:
    data = {"title": "Rain", "author": "Ines", "description": "", "slug": ""}
    response = admin_client.post(reverse("admin:library_book_add"), data)
    assert response.status_code == 302
    assert Book.objects.get().slug == "rain"


def test_admin__audit_entries_can_only_be_read(admin_client: Client) -> None:
    entry = AuditEntry.objects.create(idempotency_key="k", action="a")
    assert admin_client.get(reverse("admin:library_auditentry_add")).status_code == 403
    change = reverse("admin:library_auditentry_change", args=[entry.pk])
    assert admin_client.post(change, {"action": "b"}).status_code == 403
    assert admin_client.post(reverse("admin:library_auditentry_delete", args=[entry.pk])).status_code == 403
    assert AuditEntry.objects.get().action == "a"
