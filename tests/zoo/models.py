"""One model for each thing a field or a model can be. Works on SQLite and PostgreSQL, without migrations."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import FileSystemStorage
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Upper

from tests.zoo.decoding import FractionDecoder
from tests.zoo.fields import (
    ChosenField,
    ColourField,
    ConvertedField,
    EncryptedField,
    LabelField,
    NotesField,
    PickyField,
    ShoutingField,
    UpperKeyField,
)


class Diet(models.TextChoices):
    PLANTS = "plants", "Plants"
    MEAT = "meat", "Meat"


class Size(models.IntegerChoices):
    SMALL = 1, "Small"
    LARGE = 2, "Large"


class Specimen(models.Model):
    """A field of each type that Django ships, all of them nullable; keys and relations have models of their own."""

    big_integer = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(null=True, max_length=200)
    date = models.DateField(null=True)
    date_time = models.DateTimeField(null=True)
    decimal = models.DecimalField(null=True, max_digits=20, decimal_places=6)
    duration = models.DurationField(null=True)
    email = models.EmailField(null=True)
    file = models.FileField(null=True)
    file_path = models.FilePathField(null=True)
    float = models.FloatField(null=True)
    generic_ip_address = models.GenericIPAddressField(null=True)
    image = models.ImageField(null=True)
    integer = models.IntegerField(null=True)
    json = models.JSONField(null=True)
    json_of_types = models.JSONField(null=True, encoder=DjangoJSONEncoder, decoder=FractionDecoder)
    positive_big_integer = models.PositiveBigIntegerField(null=True)
    positive_integer = models.PositiveIntegerField(null=True)
    positive_small_integer = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(null=True)
    small_integer = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    url = models.URLField(null=True)
    uuid = models.UUIDField(null=True)
    diet = models.CharField(null=True, max_length=10, choices=Diet)
    size = models.IntegerField(null=True, choices=Size)
    friends = models.ManyToManyField("self")


class AutoKeyed(models.Model):
    id = models.AutoField(primary_key=True)


class SmallAutoKeyed(models.Model):
    id = models.SmallAutoField(primary_key=True)


class BigAutoKeyed(models.Model):
    id = models.BigAutoField(primary_key=True)


class UuidKeyed(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=20, unique=True, default="")
    tags = GenericRelation("zoo.Relative", "tagged_id", "tagged_type")


class TextKeyed(models.Model):
    name = models.CharField(primary_key=True, max_length=20)


class CompositeKeyed(models.Model):
    pk = models.CompositePrimaryKey("tenant", "code")
    tenant = models.IntegerField()
    code = models.UUIDField()
    title = models.CharField(max_length=50, default="")


class CustomKeyed(models.Model):
    name = UpperKeyField(primary_key=True, max_length=20)


class SecretlyKeyed(models.Model):
    session_key = models.CharField(primary_key=True, max_length=40)
    seen = models.IntegerField(default=0)


class Relative(models.Model):
    """Every way to refer to another row."""

    by_number = models.ForeignKey(Specimen, models.CASCADE, null=True)
    by_uuid = models.ForeignKey(UuidKeyed, models.CASCADE, null=True)
    by_code = models.ForeignKey(UuidKeyed, models.CASCADE, null=True, to_field="code", related_name="+")
    by_custom = models.ForeignKey(CustomKeyed, models.CASCADE, null=True)
    one = models.OneToOneField(TextKeyed, models.CASCADE, null=True)
    visit = models.ForeignKey(SecretlyKeyed, models.CASCADE, null=True)
    # No constraint: the tables of an app without migrations are made before those of the apps that have them.
    tagged_type = models.ForeignKey(ContentType, models.CASCADE, null=True, db_constraint=False)
    tagged_id = models.UUIDField(null=True)
    tagged = GenericForeignKey("tagged_type", "tagged_id")


class Queued(models.Model):
    """Has the `_order` column."""

    relative = models.ForeignKey(Relative, models.CASCADE)

    class Meta:
        order_with_respect_to = "relative"


class Animal(models.Model):
    name = models.CharField(max_length=50)


class Bird(Animal):
    wingspan = models.DecimalField(max_digits=6, decimal_places=2)


class Parrot(Bird):
    words = models.JSONField(default=list)


class TameParrot(Parrot):
    class Meta:
        proxy = True


class Computed(models.Model):
    name = models.CharField(max_length=50)
    shouted = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=50), db_persist=True
    )
    colour = models.GeneratedField(
        expression=models.Value("#0102ff"), output_field=ColourField(), db_persist=True
    )
    visits = models.IntegerField(db_default=7)


class Customised(models.Model):
    colour = ColourField(null=True)
    shouting = ShoutingField(null=True, max_length=20)
    encrypted = EncryptedField(null=True)
    converted = ConvertedField(null=True)
    chosen = ChosenField(null=True)
    label = LabelField(null=True)
    picky = PickyField(null=True)
    notes = NotesField(null=True)


def elsewhere() -> FileSystemStorage:
    return FileSystemStorage(base_url="/elsewhere/")


class Pictured(models.Model):
    photo = models.ImageField(null=True, blank=True, width_field="width", height_field="height")
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)
    paper = models.FileField(blank=True, upload_to="papers/", storage=elsewhere)


class Secretive(models.Model):
    name = models.CharField(max_length=50, default="")
    password = models.CharField(max_length=50, default="")
    api_token = models.CharField(max_length=50, default="")
    diagnosis = models.CharField(max_length=50, default="")
    notes = models.JSONField(default=dict)


class Remembering(models.Model):
    """Overrides `from_db` as Django's documentation shows it."""

    name = models.CharField(max_length=50)
    number = models.IntegerField(default=0)
    loaded: dict[str, Any]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.number += 1
        super().save(*args, **kwargs)

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **kwargs: Any) -> Remembering:
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.loaded = dict(zip(field_names, values, strict=True))
        return instance


class NoneShown(models.Manager["Retired"]):
    def get_queryset(self) -> models.QuerySet[Retired]:
        return super().get_queryset().none()


class Retired(models.Model):
    """Hidden by its default manager, as soft-deleted rows are."""

    name = models.CharField(max_length=50)

    objects = NoneShown()


if settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # Other databases have no columns for these, and their driver may be missing.
    from tests.zoo.postgres import PostgresFields

    class PostgresSpecimen(PostgresFields):
        pass
