"""What the frame itself serves."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
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
