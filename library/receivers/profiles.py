from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group
from django.db.models.signals import post_save
from django.dispatch import receiver

from library.models import Profile
from library.receivers.groups import STUDENTS
from library.signals import user_registered


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def create_profile(
    sender: type[AbstractUser], instance: AbstractUser, created: bool, raw: bool, using: str, **kwargs: Any
) -> None:
    """Makes the profile of a new user, in the same transaction: no moment passes without one."""
    if created and not raw:  # a fixture brings its profiles along
        Profile.objects.using(using).get_or_create(user=instance)


@receiver(user_registered)
def join_students(sender: Any, user: AbstractUser, **kwargs: Any) -> None:
    """Makes a student of who registers by themselves; teachers are made in the admin."""
    group, _ = Group.objects.get_or_create(name=STUDENTS)
    user.groups.add(group)
