from __future__ import annotations

from django.urls import path

from workers import views

app_name = "workers"
urlpatterns = [path("errands/<str:token>/", views.errands, name="errands")]
