from __future__ import annotations

from django.urls import path

from library.views import accounts, books, catalogue, shelf

app_name = "library"
urlpatterns = [
    path("", catalogue.catalogue, name="catalogue"),
    path("add/", books.add, name="book_add"),
    path("book/<slug:slug>/", catalogue.book, name="book"),
    path("book/<slug:slug>/edit/", books.edit, name="book_edit"),
    path("book/<slug:slug>/delete/", books.delete, name="book_delete"),
    path("book/<slug:slug>/read/", shelf.read, name="book_read"),
    path("shelf/", shelf.shelf, name="shelf"),
    path("register/", accounts.register, name="register"),
]
