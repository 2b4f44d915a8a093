from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth
from django.db.transaction import non_atomic_requests
from django.urls import include, path

from events.metrics import metrics
from library.views.atomic import atomic_when_writing
from project.media import uploaded

login = atomic_when_writing(auth.LoginView.as_view(redirect_authenticated_user=True))

urlpatterns = [
    path("admin/", admin.site.urls),
    path("metrics", metrics, name="metrics"),
    path("accounts/login/", login, name="login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="logout"),
    path("", include("library.urls")),
    path("", include("workers.urls")),
]
if settings.SERVE_MEDIA:
    media = f"{settings.MEDIA_URL.strip('/')}/<path:path>"
    urlpatterns.append(path(media, non_atomic_requests(uploaded)))
