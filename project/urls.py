from __future__ import annotations

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from library.views.atomic import atomic_when_writing

login = atomic_when_writing(auth.LoginView.as_view(redirect_authenticated_user=True))

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", login, name="login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="logout"),
    path("", include("library.urls")),
    # Empty unless DEBUG is on: in production the front server hands out uploaded files.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
