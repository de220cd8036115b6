"""How jobs look on pages."""

from __future__ import annotations

from kvweb.jobs.models import Job, JobState
from kvweb.ui.badges import Badge, badge_of

LOOK: dict[str, tuple[str, str]] = {
    JobState.QUEUED: ("blue", "clock"),
    JobState.RUNNING: ("blue", "loader-2"),
    JobState.SUCCEEDED: ("green", "circle-check"),
    JobState.FAILED: ("red", "alert-circle"),
    JobState.ERRORED: ("red", "alert-triangle"),
    JobState.CANCELLED: ("yellow", "ban"),
}


@badge_of.register
def job_badge(job: Job) -> Badge:
    colour, icon = LOOK[job.state]
    if job.state == JobState.RUNNING:
        word = "Stopping" if job.cancel_requested else job.doing or "Running"
        return Badge(word, colour, icon, is_busy=True, percent=job.percent)
    return Badge(job.get_state_display(), colour, icon)


def subject_address(job: Job) -> str:
    """The page of what the job is about; empty where it has none."""
    sort, _, name = job.subject.partition(":")
    pages = {"vm": "vms", "provider": "providers", "image": "images", "pool": "pools", "volume": "volumes"}
    pages["network"] = "networks"
    # An image that first_run adds is named by more than its uuid, and has no page before it is there.
    return f"/{pages[sort]}/{name}/" if sort in pages and name and ":" not in name else ""
