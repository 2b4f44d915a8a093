from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from library.errands import tell
from library.forms import RegistrationForm
from library.services import register_user
from library.views.atomic import atomic_when_writing


@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "HEAD", "POST"])
@atomic_when_writing
def register(request: HttpRequest) -> HttpResponse:
    """Only makes the account: everything else follows from signals."""
    if request.user.is_authenticated:
        return redirect("library:shelf")
    form = RegistrationForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        user = register_user(form)
        tell(request, f"Welcome, {user.get_username()}! Log in with the password you chose.")
        return redirect("login")
    return render(request, "library/register.html", {"form": form}, status=422 if form.errors else 200)
