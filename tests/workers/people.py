"""Readers, books and readings in one line each."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils.text import slugify

from library.models import Book, Category, Reading


def add_reader(name: str, *books: Book, email: str = "") -> User:
    user = User.objects.create_user(username=name, email=email)
    for book in books:
        Reading.objects.create(user=user, book=book)
    return user


def add_book(title: str, *categories: str, author: str = "", cover: str = "") -> Book:
    book = Book.objects.create(title=title, slug=slugify(title), author=author, cover=cover)
    for name in categories:
        book.categories.add(add_category(name))
    return book


def add_category(name: str) -> Category:
    return Category.objects.get_or_create(name=name, defaults={"slug": slugify(name)})[0]
