"""How images look on pages: their badge, their mark, and where they stand on their way in."""

from __future__ import annotations

from kvweb.ui.badges import Badge, badge_of
from providers.resources import trouble
from storage.models import Image, Upload

#: Pictures of the icon set by the first word of what the system is called.
_MARKS = {
    "debian": "brand-debian",
    "ubuntu": "brand-ubuntu",
    "freebsd": "brand-open-source",
    "windows": "brand-windows",
    "redhat": "brand-redhat",
}


def upload_of(image: Image) -> Upload | None:
    try:
        return image.upload
    except Upload.DoesNotExist:
        return None


def has_upload(image: Image) -> bool:
    return upload_of(image) is not None


def mark_of(os: str, *, is_iso: bool) -> str:
    """An icon for a system."""
    return _MARKS.get(os.lower().partition(" ")[0], "disc" if is_iso else "photo")


@badge_of.register
def image_badge(image: Image) -> Badge:
    upload = upload_of(image)
    if upload is not None and image.active_job is None and not image.problem:
        return Badge("Uploading", "blue", "loader-2", is_busy=True, percent=upload.percent)
    if image.is_wanted and image.active_job is None and not image.problem:
        # A job about something else is making it: a machine is being exported.
        return Badge("On its way", "blue", "clock")
    found = trouble(image)
    if found is not None:
        return found
    return Badge("ISO", "azure", "disc") if image.is_iso else Badge("Ready", "green", "circle-check")
