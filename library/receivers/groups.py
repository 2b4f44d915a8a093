from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as current_apps
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models.signals import post_migrate
from django.dispatch import receiver

STUDENTS, TEACHERS = "Students", "Teachers"
PERMISSIONS = {
    STUDENTS: {"view_book", "add_book", "view_category"},
    TEACHERS: {
        *("view_book", "add_book", "change_book", "delete_book"),
        *("view_category", "add_category", "change_category", "delete_category"),
    },
}


@receiver(post_migrate, sender=current_apps.get_app_config("library"))
def create_groups(sender: AppConfig, using: str, apps: Apps = current_apps, **kwargs: Any) -> None:
    """Makes the groups Students and Teachers, with their permissions the first time."""
    if not is_migrated(apps):
        return
    # Permissions are made by a receiver of this same signal, which may come after this one.
    create_permissions(sender, verbosity=0, using=using)
    for name, codenames in PERMISSIONS.items():
        group, created = Group.objects.using(using).get_or_create(name=name)
        if created:  # what a person takes away later stays away
            wanted = Permission.objects.using(using).filter(
                content_type__app_label=sender.label, codename__in=codenames
            )
            group.permissions.set(wanted)


def is_migrated(apps: Apps) -> bool:
    """False after migrating back to before these tables existed."""
    labels = {model._meta.label for model in apps.get_models()}
    return {"library.Book", "auth.Group"} <= labels
