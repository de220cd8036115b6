"""What the frame itself serves."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import REASON_BAD_ORIGIN, get_token
from django.shortcuts import render
from django.views.decorators.http import require_safe

from kvweb.ui.icons import sprite


@login_not_required
@require_safe
def icons(request: HttpRequest, digest: str) -> HttpResponse:
    """The icons of all pages; kept for good by browsers, since a changed sprite has another address."""
    del request
    if digest != sprite().digest:
        raise Http404("These icons are out of date; load the page again.")
    return HttpResponse(
        sprite().text,
        content_type="image/svg+xml",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


@require_safe
def standing(request: HttpRequest) -> JsonResponse:
    """Who is signed in, and a token for what an open page sends next: older ones end when somebody signs in."""
    return JsonResponse({"person": request.user.get_username(), "token": get_token(request)})


def old_page(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What a form with a wrong token gets (CSRF_FAILURE_VIEW); pages tell it from a missing right by its header."""
    is_elsewhere = reason.startswith(REASON_BAD_ORIGIN.split("%s")[0])
    response = render(request, "403_old_page.html", {"is_elsewhere": is_elsewhere}, status=403)
    if not is_elsewhere:
        response.headers["X-Old-Page"] = "1"
    return response
