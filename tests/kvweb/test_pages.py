"""The frame, the dashboard, jobs and the small parts of all pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template import Context, Template
from django.test import Client
from django.utils import timezone

from kvweb.accounts.models import User
from kvweb.jobs.models import Job, JobLine, JobState
from kvweb.settings import base
from kvweb.ui.badges import Badge, markup
from kvweb.ui.icons import NAMES, drawing, icon, sprite
from kvweb.ui.templatetags.fields import as_title, in_our_words
from kvweb.ui.words import ago_words, bytes_words, duration_words, size_words
from providers.models import Provider

ClientOf = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def text_of(response: Any) -> str:
    return str(response.content.decode())


# -- small parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, "–"), (0, "0 bytes"), (1, "1 byte"), (1023, "1 023 bytes"), (5000, "4.9 KiB"), (62 * 2**20, "62 MiB")],
)
def test_bytes_in_words(count: float | None, words: str) -> None:
    assert bytes_words(count) == words


@pytest.mark.parametrize(
    ("mib", "words"),
    [
        (None, "–"),
        (0, "–"),
        (512, "512 MiB"),
        (1024, "1 GiB"),
        (1536, "1.5 GiB"),
        (10240, "10 GiB"),
        (1572864, "1.5 TiB"),
    ],
)
def test_sizes(mib: float | None, words: str) -> None:
    assert size_words(mib) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (50, "1 minute ago"),
        (3 * 60, "3 minutes ago"),
        (59 * 60, "1 hour ago"),
        (3600 * 30, "1 day ago"),
        (86400 * 45, "2 months ago"),
        (86400 * 800, "2 years ago"),
        (-100, "just now"),
    ],
)
def test_times(seconds: int, words: str) -> None:
    now = timezone.now()
    assert ago_words(now - timedelta(seconds=seconds), now) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (42, "42 s"), (60, "1 min"), (190, "3 min 10 s"), (7260, "2 h 1 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration_words(timedelta(seconds=seconds)) == words


def test_a_badge_is_colour_icon_and_word() -> None:
    badge = markup(Badge("Running", "green", "player-play"))
    assert "state-green" in badge
    assert "player-play" in badge
    assert "Running" in badge
    assert "40 %" in markup(Badge("Creating", "blue", "loader-2", is_busy=True, percent=40))
    assert "&lt;b&gt;" in markup(Badge("<b>", note='"'))


def test_every_icon_of_the_sprite_exists() -> None:
    assert sprite().names == set(NAMES)


def test_every_icon_that_templates_name_exists() -> None:
    for template in Path(settings.BASE_DIR / "templates").rglob("*.html"):
        for name in re.findall(r'{% icon "([^"]+)"', template.read_text()):
            assert drawing(name), f"{template.name} names the icon “{name}”, which does not exist"


def test_an_icon_that_does_not_exist_is_empty_and_not_an_error() -> None:
    assert "<path" not in icon("../../etc/passwd")


def test_the_sprite_is_kept_for_good(client: Client) -> None:
    response = client.get(f"/icons/{sprite().digest}.svg")
    assert response.status_code == 200
    assert "immutable" in response["Cache-Control"]
    assert client.get("/icons/old.svg").status_code == 404


def test_what_is_copied_is_escaped() -> None:
    html = Template("{% load kvweb %}{% copy text %}").render(Context({"text": '"><script>'}))
    assert "<script>" not in html


# -- frame -------------------------------------------------------------------------------------------------------------


def test_no_page_has_inline_script(alice: User, client_of: ClientOf) -> None:
    client = client_of(alice)
    for address in ("/", "/vms/", "/jobs/", "/nothing-here"):
        page = text_of(client.get(address))
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"\son[a-z]+=", page)


def test_signing_out_is_a_post(alice: User, client_of: ClientOf) -> None:
    page = text_of(client_of(alice).get("/"))
    assert re.search(r'<form method="post" action="/accounts/logout/">', page)


def test_administration_is_for_administrators(alice: User, root: User, client_of: ClientOf) -> None:
    assert 'href="/providers/"' in text_of(client_of(root).get("/"))
    assert 'href="/providers/"' not in text_of(client_of(alice).get("/"))


def test_an_address_that_is_not_there_has_a_way_on(alice: User, client_of: ClientOf) -> None:
    response = client_of(alice).get("/nothing-here")
    assert response.status_code == 404
    assert "Go to the start" in text_of(response)


# -- dashboard ---------------------------------------------------------------------------------------------------------


def test_the_dashboard_without_providers_says_what_comes_first(alice: User, root: User, client_of: ClientOf) -> None:
    assert "Add a provider" in text_of(client_of(root).get("/"))
    assert "An administrator has to connect" in text_of(client_of(alice).get("/"))


def test_the_dashboard_shows_machines_and_capacity(
    make_vm: Any, fake_provider: Provider, alice: User, root: User, client_of: ClientOf
) -> None:
    make_vm(name="web", power="running", vcpus=60)
    make_vm(power="stopped", vcpus=4)
    # What the host said at its last check was true then.
    Provider.objects.filter(pk=fake_provider.pk).update(
        host={"cpus_total": 64, "cpus_used": 0, "memory_total_mib": 2048, "memory_used_mib": 0}
    )
    page = text_of(client_of(root).get("/"))
    assert "60 of 64" in page
    assert "512 MiB of 2 GiB" in page
    assert "web" in text_of(client_of(alice).get("/"))
    assert "60 of 64" not in text_of(client_of(alice).get("/"))
    assert text_of(client_of(alice).get("/dashboard/part")).lstrip().startswith('<div id="dashboard"')


# -- jobs --------------------------------------------------------------------------------------------------------------


def make_job(user: User, project: Any, **values: Any) -> Job:
    return Job.objects.create(
        **{"kind": "vm.start", "title": "Start “web”", "user": user, "project": project, "state": "running", **values}
    )


def test_jobs_are_listed_found_and_filtered(alice: User, charlie: User, project: Any, client_of: ClientOf) -> None:
    make_job(alice, project)  # the oldest, but active
    make_job(alice, project, title="Delete “db”", state="failed", reason="No <answer>.")
    client = client_of(alice)
    page = text_of(client.get("/jobs/"))
    assert page.index("Start “web”") < page.index("Delete “db”")
    assert "No &lt;answer&gt;." in page
    assert "Start “web”" not in text_of(client.get("/jobs/?state=failed"))
    assert "Delete “db”" in text_of(client.get("/jobs/?q=answer"))
    assert "Start “web”" not in text_of(client_of(charlie).get("/jobs/"))


def test_a_strangers_job_is_404(alice: User, charlie: User, project: Any, client_of: ClientOf) -> None:
    job = make_job(alice, project)
    for path in ("", "state", "lines"):
        assert client_of(charlie).get(f"/jobs/{job.uuid}/{path}").status_code == 404
    assert client_of(charlie).post(f"/jobs/{job.uuid}/cancel").status_code == 404


def test_the_log_is_told_from_a_line_on(alice: User, project: Any, client_of: ClientOf) -> None:
    job = make_job(alice, project)
    first = JobLine.objects.create(job=job, text="Reserving")
    JobLine.objects.create(job=job, text="Copying <image>", level="warning")
    client = client_of(alice)
    assert "Reserving" in text_of(client.get(f"/jobs/{job.uuid}/"))
    rest = text_of(client.get(f"/jobs/{job.uuid}/lines?after={first.pk}"))
    assert "Reserving" not in rest
    assert "Copying &lt;image&gt;" in rest


def test_cancel_is_for_ones_own_and_by_right(alice: User, bob: User, project: Any, client_of: ClientOf) -> None:
    job = make_job(alice, project, kind="vm.start", state="queued")
    refused = client_of(bob).post(f"/jobs/{job.uuid}/cancel", headers=HTMX)
    assert refused.status_code == 403
    assert client_of(alice).post(f"/jobs/{job.uuid}/cancel", headers=HTMX).status_code == 200
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert client_of(alice).post(f"/jobs/{job.uuid}/cancel", headers=HTMX).status_code == 409


@pytest.mark.parametrize(
    ("kind", "form", "address"),
    [
        ("vm.start", {}, "do/start"),
        ("vm.delete", {}, "ask/delete"),
        ("vm.create", {"name": "web"}, "/vms/create?again="),
    ],
)
def test_a_failed_job_is_tried_again(
    make_vm: Any, alice: User, client_of: ClientOf, kind: str, form: dict[str, str], address: str
) -> None:
    vm = make_vm()
    job = make_job(alice, vm.project, kind=kind, form=form, subject=vm.subject, state="failed", reason="No answer.")
    page = text_of(client_of(alice).get(f"/jobs/{job.uuid}/"))
    assert "Try again" in page
    assert address in page


def test_the_number_of_active_jobs(alice: User, project: Any, client_of: ClientOf) -> None:
    make_job(alice, project)
    make_job(alice, project, state="succeeded")
    client = client_of(alice)
    assert client.get("/jobs/active").json() == {"active": 1}
    assert "Start “web”" in text_of(client.get("/jobs/activity"))


def test_pages_are_there_while_redis_is_away(alice: User, client_of: ClientOf, settings: Any, tmp_path: Path) -> None:
    away = {**base.CACHES["default"], "LOCATION": f"unix://{tmp_path}/redis.sock"}
    settings.CACHES = {"default": away}
    settings.REDIS_URL = away["LOCATION"]
    client = client_of(alice)
    assert [client.get(page).status_code for page in ("/", "/vms/", "/jobs/", "/account/")] == [200] * 4


# -- the sign-in library's pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Change Password", "Change password"),
        ("Two-Factor Authentication", "Second factor"),
        ("Current Password", "Current password"),
        ("New Password (again)", "New password (again)"),
        ("Add Email Address", "Add e-mail address"),
        ("Scan the QR code", "Scan the QR code"),
    ],
)
def test_titles_of_the_library_in_our_words(theirs: str, ours: str) -> None:
    assert as_title(theirs) == ours


def test_an_address_is_not_our_word_to_change() -> None:
    told = "Your email is Email@example.org"
    assert in_our_words(told) == "Your e-mail is Email@example.org"


@pytest.mark.parametrize("path", ["/accounts/password/change/", "/accounts/2fa/", "/accounts/email/"])
def test_pages_of_the_account_speak_as_the_others_do(alice: User, client_of: ClientOf, path: str) -> None:
    page = text_of(client_of(alice).get(path))
    assert not re.search(r"Two-Factor|Change Password|Recovery Codes|Current Password|Email\b", page)


# -- time zones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Asia/Tokyo", "18:24:06 JST"),
        ("Europe/Vienna", "10:24:06 CET"),
        ("", "09:24:06 UTC"),
        ("Mars/Olympus", "09:24:06 UTC"),
        ("../../etc/passwd", "09:24:06 UTC"),
    ],
)
def test_times_are_said_in_the_zone_of_the_browser(
    alice: User, project: Any, client_of: ClientOf, zone: str, said: str
) -> None:
    at = datetime(2026, 11, 23, 9, 24, 6, tzinfo=UTC)
    job = make_job(alice, project, state="succeeded")
    Job.objects.filter(pk=job.pk).update(created_at=at, started_at=at, ended_at=at)
    client = client_of(alice)
    client.cookies["kvweb_zone"] = zone
    assert said in text_of(client.get("/jobs/"))
