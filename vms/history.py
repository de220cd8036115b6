"""What happened to a machine: jobs and audit entries in one timeline, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.selectors import history_of
from kvweb.ui.words import bytes_words, duration_words
from vms.models import VirtualMachine

MOST = 100
#: A job and the audit entry of its start are written in one transaction; the page shows them once.
SAME_MOMENT = timedelta(seconds=5)

#: Words, icon and colour of what is done without a job.
DEEDS: dict[str, tuple[str, str]] = {
    "vm.create": ("Asked for this machine", "plus"),
    "vm.describe": ("Changed the description", "pencil"),
    "vm.assign": ("Handed it to another project", "folder"),
    "vm.show_screen": ("Changed whether its screen is pictured", "photo"),
    "vm.protect": ("Protected it from deletion", "lock"),
    "vm.unprotect": ("Took its protection from deletion back", "lock-open"),
    "vm.dismiss": ("Dismissed it", "x"),
    "vm.dismiss_problem": ("Dismissed the problem", "check"),
    "vm.console.opened": ("Opened a console", "device-desktop"),
    "vm.console.viewer": ("Got a file for a viewer", "device-desktop-share"),
    "vm.console.closed": ("Left a console", "device-desktop"),
    "vm.console.taken": ("Closed somebody's console", "plug-connected-x"),
    "vm.guest_link.created": ("Made a link for a guest", "user-plus"),
    "vm.guest_link.revoked": ("Took a guest's link back", "ban"),
    "vm.serial_log.kept": ("Had the serial log kept always", "device-floppy"),
    "vm.serial_log.dropped": ("Had the serial log kept only while somebody watches", "device-floppy"),
    "vm.read_output": ("Read the console output that the provider keeps", "terminal-2"),
    "vm.serial_log.downloaded": ("Downloaded the serial log", "download"),
}
STATE_LOOK = {
    JobState.QUEUED: ("clock", "blue"),
    JobState.RUNNING: ("loader-2", "blue"),
    JobState.SUCCEEDED: ("check", "green"),
    JobState.FAILED: ("alert-triangle", "red"),
    JobState.ERRORED: ("alert-triangle", "red"),
    JobState.CANCELLED: ("ban", "yellow"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    words: str
    who: str
    icon: str
    colour: str
    note: str = ""
    job: Job | None = None


def _of_job(job: Job) -> Entry:
    icon, colour = STATE_LOOK[JobState(job.state)]
    note = job.reason or ("" if not job.is_active else job.message)
    if job.state == JobState.SUCCEEDED:
        note = f"Took {duration_words(job.duration)}"
    who = str(job.user) if job.user else "The portal"
    return Entry(job.created_at, job.title, who, icon, colour, note, job)


def _of_audit(entry: AuditEntry) -> Entry:
    words, icon = DEEDS.get(entry.verb, (entry.verb.replace(".", " ").replace("_", " ").capitalize(), "info-circle"))
    return Entry(entry.at, words, entry.actor_name or "The portal", icon, "secondary", _note_of(entry))


def _note_of(entry: AuditEntry) -> str:
    """What of an entry's details people ask about: which console, how long, from where, and for whom."""
    details = entry.details
    if not entry.verb.startswith(("vm.console.", "vm.guest_link.")):
        return ""
    parts = [{"vnc": "Screen", "serial": "Serial console", "spice": "SPICE"}.get(details.get("kind"), "")]
    if entry.verb == "vm.console.closed":
        parts.append(f"for {duration_words(timedelta(seconds=details.get('lasted_s', 0)))}")
        carried = bytes_words(details.get("bytes_to_browser", 0))
        parts.append(f"{carried} seen, {bytes_words(details.get('bytes_to_machine', 0))} sent")
        parts.append(str(details.get("reason", "")).rstrip("."))
    elif details.get("view_only"):
        parts.append("watching only")
    parts += [str(details[name]) for name in ("who", "guest") if details.get(name)]
    if details.get("guest_of"):
        parts.append(f"let in by {details['guest_of']}")
    if entry.address:
        parts.append(f"from {entry.address}")
    return ", ".join(part for part in parts if part)


def of(vm: VirtualMachine) -> list[Entry]:
    """Two queries; an audit entry whose job is listed stays out."""
    jobs = list(history_of(vm.subject)[:MOST])
    audit = AuditEntry.objects.filter(subject=vm.subject).order_by("-id")[:MOST]

    def has_job(entry: AuditEntry) -> bool:
        return any(job.kind == entry.verb and abs(job.created_at - entry.at) < SAME_MOMENT for job in jobs)

    entries = [_of_job(job) for job in jobs] + [_of_audit(entry) for entry in audit if not has_job(entry)]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:MOST]
