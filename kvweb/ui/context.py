"""What every page's template may use; a page that shows none of it pays nothing."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest

from kvweb.ui.navigation import Navigation


def portal(request: HttpRequest) -> dict[str, Any]:
    return {
        "navigation": Navigation(request),
        #: The moment the page was made: the event stream begins there, so nothing falls between page and stream.
        "rendered_at": f"{time.time():.2f}",
    }
