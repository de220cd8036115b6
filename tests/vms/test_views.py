"""Pages of machines, as a person meets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from kvweb.accounts.models import Membership, Project, User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import Job
from providers.models import Health, Provider
from vms import bulk_views, listing, services
from vms.choices import Presence
from vms.models import VirtualMachine
from vms.selectors import STATES, Filters, counts

ClientOf = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def text_of(response: Any) -> str:
    return str(response.content.decode())


def names_in(response: Any) -> list[str]:
    return re.findall(r"data-open>([^<]+)</a>", text_of(response))


def test_news_of_a_part_bring_the_numbers_on_the_tabs(alice: User, client_of: ClientOf, make_vm: Any) -> None:
    vm = make_vm(name="web", disks=[])
    client = client_of(alice)
    assert '<small id="count-disks" hidden></small>' in text_of(client.get(f"/vms/{vm.uuid}/"))
    vm.disks = [{"external_id": "vda", "size_gib": 10.0}]
    vm.save()
    news = text_of(client.get(f"/vms/{vm.uuid}/part/overview", headers=HTMX))
    assert '<small id="count-disks">1</small>' in news


# -- who sees what -----------------------------------------------------------------------------------------------------


def test_a_visitor_is_sent_to_sign_in(client: Client) -> None:
    response = client.get("/vms/")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_a_part_tells_that_the_session_is_over_instead_of_becoming_the_sign_in_page(client: Client) -> None:
    response = client.get("/vms/", headers=HTMX)
    assert response.status_code == 401
    assert "Sign in again" in text_of(response)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "header",
        "menu",
        "ask/delete",
        "part/overview",
        "console",
        "disks",
        "networks",
        "snapshots",
        "history",
    ],
)
def test_a_stranger_gets_404_everywhere(
    make_vm: Any, charlie: User, alice: User, client_of: ClientOf, path: str
) -> None:
    vm = make_vm()
    assert client_of(alice).get(f"/vms/{vm.uuid}/{path}").status_code == 200
    assert client_of(charlie).get(f"/vms/{vm.uuid}/{path}").status_code == 404


def test_a_strangers_post_is_404_and_does_nothing(make_vm: Any, charlie: User, client_of: ClientOf) -> None:
    vm = make_vm()
    for path in ("do/start", "description", "dismiss-problem", "do/assign"):
        assert client_of(charlie).post(f"/vms/{vm.uuid}/{path}").status_code == 404
    assert not Job.objects.exists()


@pytest.mark.parametrize("path", ["do/start", "description", "dismiss-problem", "do/assign"])
def test_nothing_changes_by_get(make_vm: Any, alice: User, client_of: ClientOf, path: str) -> None:
    assert client_of(alice).get(f"/vms/{make_vm().uuid}/{path}").status_code == 405


def test_the_list_shows_only_ones_own(make_vm: Any, alice: User, charlie: User, client_of: ClientOf) -> None:
    make_vm(name="ours")
    assert names_in(client_of(alice).get("/vms/")) == ["ours"]
    assert names_in(client_of(charlie).get("/vms/")) == []


def test_who_is_in_no_project_learns_what_to_ask_for(client_of: ClientOf, db: None) -> None:
    dora = User.objects.create_user("dora", password="correct-horse-battery")
    for address in ("/vms/", "/"):
        assert "you are not in one yet" in client_of(dora).get(address).content.decode()


def test_names_are_strangers_text(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    make_vm(name='<script>alert("x")</script>', addresses='1.2.3.4"><b> ::1', problem="<i>broken</i>")
    page = text_of(client_of(alice).get("/vms/"))
    assert "<script>alert" not in page
    assert "<b>" not in page.split("<tbody>")[1]
    assert "<i>broken" not in page


# -- the list ----------------------------------------------------------------------------------------------------------


def test_search_finds_name_address_and_project(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    make_vm(name="web-1", addresses="10.0.0.7")
    make_vm(name="db-1", addresses="10.0.0.8")
    client = client_of(alice)
    assert names_in(client.get("/vms/?q=web")) == ["web-1"]
    assert names_in(client.get("/vms/?q=0.0.8")) == ["db-1"]
    assert names_in(client.get("/vms/?q=harb+web")) == ["web-1"]
    assert "No machine matches" in text_of(client.get("/vms/?q=zzz"))


def test_htmx_gets_the_part_below_the_search_field(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    make_vm()
    part = text_of(client_of(alice).get("/vms/", headers={**HTMX, "HX-Target": "results"}))
    assert part.lstrip().startswith('<div id="results">')
    assert "<html" not in part


def test_the_counts_of_the_filters_come_alone_when_there_is_news_of_a_row(
    make_vm: Any, alice: User, client_of: ClientOf
) -> None:
    make_vm(power="running")
    make_vm()
    part = text_of(client_of(alice).get("/vms/?state=off", headers={**HTMX, "HX-Target": "chips"}))
    assert part.lstrip().startswith('<nav id="chips"')
    assert "Running <b>1</b>" in part
    assert 'aria-current="true">Off <b>1</b>' in part
    assert "1–1 of 1" in part, "below the list they follow, too"
    assert "data-row" not in part


@pytest.mark.parametrize("filters", ["state=off", "q=db", "provider=nobody", "project=nobody", "state=off&q=web"])
def test_rows_that_the_filter_leaves_out_are_named_when_there_is_news_of_them(
    make_vm: Any, alice: User, client_of: ClientOf, filters: str
) -> None:
    web = make_vm(name="web", power="running")
    client = client_of(alice)
    response = client.get(f"/vms/rows?ids={web.uuid}&{filters}")
    assert response.headers["X-Unfit"] == str(web.uuid)
    assert f'id="vm-{web.uuid}"' in text_of(response), "the page shows it until nobody is at it"
    for fitting in ("", "&state=running", "&q=web", "&sort=-memory&per=25"):
        assert "X-Unfit" not in client.get(f"/vms/rows?ids={web.uuid}{fitting}").headers


def test_sorting_and_pages_are_in_the_address(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    for number in range(30):
        make_vm(name=f"vm-{number:02}", memory_mib=512 + number)
    client = client_of(alice)
    assert names_in(client.get("/vms/?sort=-memory&per=25"))[0] == "vm-29"
    second = client.get("/vms/?per=25&page=2")
    assert names_in(second) == [f"vm-{number}" for number in range(25, 30)]
    assert "26–30 of 30" in text_of(second)
    assert names_in(client.get("/vms/?per=25&page=999")) == names_in(second)
    assert client.get("/vms/?page=x&per=-4&sort=drop&state=none").status_code == 200


def test_counts_on_groups_are_the_counts_of_the_database(make_vm: Any, alice: User, fake_provider: Provider) -> None:
    for power in ("running", "running", "stopped", "crashed", "paused", "suspended", "unknown"):
        make_vm(power=power)
    make_vm(power="running", problem="Restart failed: no answer.")
    make_vm(power="unknown", presence=Presence.WANTED, external_id="")
    make_vm(power="running", presence=Presence.MISSING)
    make_vm(power="running", presence=Presence.DELETED)
    for health in (Health.OK, Health.FAILED):
        Provider.objects.filter(pk=fake_provider.pk).update(health=health)
        page = listing.page(alice, Filters())
        expected = counts(alice)
        assert {"": expected.pop("all"), **expected} == page.counts
        for state in STATES:
            assert listing.page(alice, Filters(state=state)).total == page.counts[state]


def test_an_unreachable_provider_is_said_once_and_rows_stay(
    make_vm: Any, alice: User, fake_provider: Provider, client_of: ClientOf
) -> None:
    make_vm(name="old-news", power="running")
    since = timezone.now() - timedelta(minutes=5)
    Provider.objects.filter(pk=fake_provider.pk).update(
        health=Health.FAILED, unreachable_since=since, seen_at=since, health_reason="No answer."
    )
    page = text_of(client_of(alice).get("/vms/"))
    assert page.count("cannot be reached since") == 1
    assert "Unreachable" in page
    assert "last known at" in page


def test_the_empty_list_says_what_to_do(alice: User, bob: User, client_of: ClientOf) -> None:
    assert "Create the first machine" in text_of(client_of(alice).get("/vms/"))
    assert "ask a manager" in text_of(client_of(bob).get("/vms/"))


def test_rows_come_alone_for_news(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    ours, other = make_vm(name="ours"), make_vm(name="other")
    gone = make_vm(presence=Presence.DELETED)
    response = client_of(alice).get(f"/vms/rows?ids={ours.uuid},{gone.uuid},nonsense")
    assert names_in(response) == ["ours"]
    assert text_of(response).startswith(f'<tr id="vm-{ours.uuid}"')
    assert str(other.uuid) not in text_of(response)


# -- buttons -----------------------------------------------------------------------------------------------------------


def test_start_answers_with_the_row_as_it_is_then(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    vm = make_vm(name="web")
    response = client_of(bob).post(f"/vms/{vm.uuid}/do/start", headers={**HTMX, "HX-Target": f"vm-{vm.uuid}"})
    assert response.status_code == 200
    assert text_of(response).startswith(f'<tr id="vm-{vm.uuid}"')
    assert "Starting" in text_of(response)
    assert Job.objects.get().kind == "vm.start"
    assert AuditEntry.objects.get().verb == "vm.start"


def test_on_its_own_page_the_header_is_answered(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    vm = make_vm()
    response = client_of(bob).post(f"/vms/{vm.uuid}/do/start", headers={**HTMX, "HX-Target": f"header-{vm.uuid}"})
    assert f'id="header-{vm.uuid}"' in text_of(response)
    assert "Starting" in text_of(response)


def test_without_scripts_start_leads_back_to_the_machine(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    vm = make_vm(name="web")
    response = client_of(bob).post(f"/vms/{vm.uuid}/do/start")
    assert response.status_code == 302
    assert response["Location"] == f"/vms/{vm.uuid}/"
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["Starting “web”."]


def test_what_cannot_be_done_now_is_a_sentence(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    vm = make_vm(power="running")
    response = client_of(bob).post(f"/vms/{vm.uuid}/do/start", headers={**HTMX, "HX-Target": f"vm-{vm.uuid}"})
    assert response.status_code == 409
    assert "It is running already." in response["HX-Trigger"]
    assert not Job.objects.exists()


def test_a_machine_that_changed_under_an_open_dialog_closes_it_with_a_sentence(
    make_vm: Any, alice: User, client_of: ClientOf
) -> None:
    vm = make_vm(power="running")
    wish = {"name": "copy", "way": "full"}
    response = client_of(alice).post(f"/vms/{vm.uuid}/do/clone", wish, headers={**HTMX, "HX-Target": "dialog"})
    assert response.status_code == 204
    assert "Shut it down first" in response["HX-Trigger"]
    assert "done" in response["HX-Trigger"]
    assert not Job.objects.exists()


def test_what_may_not_be_done_is_403(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    vm = make_vm(name="web")
    response = client_of(bob).post(f"/vms/{vm.uuid}/do/delete", {"typed": "web"}, headers=HTMX)
    assert response.status_code == 403
    assert not Job.objects.exists()


@pytest.mark.parametrize("typed", ["", "wrong"])
def test_deletion_wants_the_name(make_vm: Any, alice: User, client_of: ClientOf, typed: str) -> None:
    vm = make_vm(name="web")
    response = client_of(alice).post(f"/vms/{vm.uuid}/do/delete", {"typed": typed})
    assert response["Location"] == f"/vms/{vm.uuid}/ask/delete"
    assert not Job.objects.exists()
    client_of(alice).post(f"/vms/{vm.uuid}/do/delete", {"typed": "web"})
    assert Job.objects.get().kind == "vm.delete"


def test_the_question_is_a_page_and_a_dialog(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(name="web", power="running")
    client = client_of(alice)
    assert "<html" in text_of(client.get(f"/vms/{vm.uuid}/ask/stop"))
    dialog = text_of(client.get(f"/vms/{vm.uuid}/ask/stop", headers=HTMX))
    assert "<html" not in dialog
    assert "asked to shut down" in dialog
    assert client.get(f"/vms/{vm.uuid}/ask/nonsense").status_code == 404


def test_a_question_about_what_cannot_be_done_says_so(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    dialog = text_of(client_of(alice).get(f"/vms/{make_vm().uuid}/ask/stop", headers=HTMX))
    assert "It is off." in dialog
    assert 'type="submit"' not in dialog


def test_the_menu_greys_with_a_reason_and_hides_without_right(
    make_vm: Any, alice: User, bob: User, client_of: ClientOf
) -> None:
    vm = make_vm(power="running")
    menu = text_of(client_of(bob).get(f"/vms/{vm.uuid}/menu"))
    assert "It is running already." in menu
    assert "Delete" not in menu
    assert "Delete" in text_of(client_of(alice).get(f"/vms/{vm.uuid}/menu"))


def test_dismissing_takes_the_row_away(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(presence=Presence.WANTED, external_id="", problem="Create failed: No space.")
    response = client_of(alice).post(f"/vms/{vm.uuid}/do/dismiss", headers={**HTMX, "HX-Target": f"vm-{vm.uuid}"})
    assert response.status_code == 200
    assert text_of(response) == ""
    assert names_in(client_of(alice).get("/vms/")) == []


# -- many at once ------------------------------------------------------------------------------------------------------


def test_bulk_does_what_can_be_done_and_tells_the_rest(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    off, on = make_vm(name="off"), make_vm(name="on", power="running")
    response = client_of(bob).post("/vms/bulk", {"action": "start", "vm": [off.uuid, on.uuid]}, headers=HTMX)
    assert response.status_code == 204
    assert "Starting 1 machine. 1 was skipped: It is running already." in response["HX-Trigger"]
    assert str(off.uuid) in response["HX-Trigger"]
    assert [job.subject for job in Job.objects.all()] == [off.subject]


def test_bulk_asks_with_counts_by_state(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vms = [make_vm(power="running"), make_vm(power="running"), make_vm()]
    data = {"action": "delete", "vm": [vm.uuid for vm in vms]}
    client = client_of(alice)
    question = text_of(client.post("/vms/bulk", data, headers=HTMX))
    assert "Delete 3 machines?" in question
    assert "2 running, 1 off" in question
    assert client.post("/vms/bulk", {**data, "typed": "2"}, headers=HTMX).status_code == 200
    assert not Job.objects.exists()
    assert client.post("/vms/bulk", {**data, "typed": "3"}, headers=HTMX).status_code == 204
    assert Job.objects.count() == 3


def test_a_bulk_question_says_what_is_skipped_and_is_not_asked_for_nothing(
    make_vm: Any, alice: User, client_of: ClientOf
) -> None:
    off, on = make_vm(name="off"), make_vm(name="on", power="running")
    client = client_of(alice)
    question = text_of(client.post("/vms/bulk", {"action": "stop", "vm": [off.uuid, on.uuid]}, headers=HTMX))
    assert "1 is skipped: It is off." in question
    assert "Shut down 1 of 2 machines" in question
    told = client.post("/vms/bulk", {"action": "stop", "vm": [off.uuid]}, headers=HTMX)
    assert told.status_code == 204
    assert "1 was skipped: It is off." in told["HX-Trigger"]
    assert not Job.objects.exists()


def test_bulk_never_reaches_strangers_machines(make_vm: Any, charlie: User, client_of: ClientOf) -> None:
    vm = make_vm()
    response = client_of(charlie).post("/vms/bulk", {"action": "start", "vm": [vm.uuid, "x"]}, headers=HTMX)
    assert "Select some machines first." in response["HX-Trigger"]
    assert not Job.objects.exists()


def test_bulk_is_only_for_what_is_done_in_bulk(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).post("/vms/bulk", {"action": "reset", "vm": [make_vm().uuid]}).status_code == 404


# -- one machine -------------------------------------------------------------------------------------------------------


def test_the_page_has_the_facts(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(
        name="web",
        power="running",
        addresses="10.0.0.7",
        nics=[{"external_id": "net0", "addresses": ["10.0.0.7"], "addresses_source": "lease"}],
    )
    page = text_of(client_of(alice).get(f"/vms/{vm.uuid}/"))
    for words in ("512 MiB", "ssh 10.0.0.7", "DHCP lease", "Testville", "Harbour"):
        assert words in page


def test_a_failure_is_shown_with_try_again(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(presence=Presence.WANTED, external_id="", problem="Create failed: No space.")
    job = Job.objects.create(kind="vm.create", title="Create", subject=vm.subject, project=vm.project, state="failed")
    VirtualMachine.objects.filter(pk=vm.pk).update(problem_job=job.uuid)
    page = text_of(client_of(alice).get(f"/vms/{vm.uuid}/"))
    assert "Create failed: No space." in page
    assert f"/vms/create?again={job.uuid}" in page


def test_a_problem_is_dismissed_by_hand(make_vm: Any, bob: User, client_of: ClientOf) -> None:
    vm = make_vm(problem="Restart failed: no answer.")
    client_of(bob).post(f"/vms/{vm.uuid}/dismiss-problem")
    vm.refresh_from_db()
    assert vm.problem == ""


def test_the_description_is_kept_and_refused_text_stays(
    make_vm: Any, alice: User, bob: User, client_of: ClientOf
) -> None:
    vm = make_vm()
    client_of(alice).post(f"/vms/{vm.uuid}/description", {"description": "The shop's\r\nfront end"})
    vm.refresh_from_db()
    assert vm.description == "The shop's\nfront end"
    response = client_of(alice).post(f"/vms/{vm.uuid}/description", {"description": "y" * 4001}, headers=HTMX)
    assert response.status_code == 422
    assert "too long by 1" in text_of(response)
    assert "y" * 4001 in text_of(response)
    refused = client_of(bob).post(f"/vms/{vm.uuid}/description", {"description": "mine"}, headers=HTMX)
    assert "may not change" in text_of(refused)
    vm.refresh_from_db()
    assert vm.description == "The shop's\nfront end"


def test_history_is_jobs_and_deeds_in_one_line_of_time(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(name="web")
    services.set_description(vm, description="x", user=alice)
    services.start(vm, user=alice)
    page = text_of(client_of(alice).get(f"/vms/{vm.uuid}/history"))
    assert page.index("Start “web”") < page.index("Changed the description")
    assert "Vm start" not in page


def test_only_administrators_hand_machines_over(make_vm: Any, alice: User, root: User, client_of: ClientOf) -> None:
    vm, other = make_vm(), Project.objects.create(name="Other")
    client_of(alice).post(f"/vms/{vm.uuid}/do/assign", {"project": other.uuid})
    vm.refresh_from_db()
    assert vm.project != other
    client_of(root).post(f"/vms/{vm.uuid}/do/assign", {"project": other.uuid})
    vm.refresh_from_db()
    assert vm.project == other


def test_a_deleted_machine_tells_an_open_page(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(presence=Presence.DELETED)
    assert "This machine was deleted." in text_of(client_of(alice).get(f"/vms/{vm.uuid}/header"))
    assert client_of(alice).get(f"/vms/{vm.uuid}/").status_code == 404


def test_somebody_of_several_projects_sees_the_column(
    make_vm: Any, alice: User, bob: User, client_of: ClientOf
) -> None:
    make_vm()
    Membership.objects.create(user=alice, project=Project.objects.create(name="Second"), role="viewer")
    assert "sort=project" in text_of(client_of(alice).get("/vms/"))
    assert "sort=project" not in text_of(client_of(bob).get("/vms/"))


# -- all that match ----------------------------------------------------------------------------------------------------


def test_all_that_match_are_chosen_beyond_the_page(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    for number in range(30):
        make_vm(name=f"web-{number:02}")
    db = make_vm(name="db-1")
    page = text_of(client_of(alice).get("/vms/?q=web&per=25"))
    assert 'data-total="30" data-matching="q=web"' in page
    client_of(alice).post("/vms/bulk", {"action": "start", "matching": "q=web"}, headers=HTMX)
    assert Job.objects.filter(kind="vm.start").count() == 30
    assert not Job.objects.filter(subject=db.subject).exists()


def test_all_that_match_are_still_only_ones_own(make_vm: Any, charlie: User, client_of: ClientOf) -> None:
    make_vm()
    client_of(charlie).post("/vms/bulk", {"action": "start", "matching": ""}, headers=HTMX)
    assert not Job.objects.exists()


def test_more_than_can_be_done_at_once_is_refused_as_a_whole(
    make_vm: Any, alice: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "MOST_AT_ONCE", 2)
    for _ in range(3):
        make_vm()
    answer = client_of(alice).post("/vms/bulk", {"action": "start", "matching": ""}, headers=HTMX)
    assert "3 machines are too many: at most 2 at once." in answer["HX-Trigger"]
    assert not Job.objects.exists()


# -- what is not offered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/vms/"])
def test_who_may_create_nowhere_is_not_offered_it(
    make_vm: Any, alice: User, bob: User, client_of: ClientOf, path: str
) -> None:
    make_vm()
    assert "Create machine" in text_of(client_of(alice).get(path))
    assert "Create machine" not in text_of(client_of(bob).get(path))


def test_a_machine_that_was_not_created_offers_to_try_again(
    make_vm: Any, alice: User, bob: User, client_of: ClientOf
) -> None:
    vm = make_vm(presence=Presence.WANTED, external_id="", problem="Create failed: Full.", problem_job=uuid4())
    page = text_of(client_of(alice).get(f"/vms/{vm.uuid}/"))
    assert f"/vms/create?again={vm.problem_job}" in page
    assert f"/vms/{vm.uuid}/do/dismiss" in page
    assert "Start" not in page.split('<div class="page-header-actions')[1].split("</nav>")[0]
    assert "It was not created, so there is nothing to sign in to." in page
    assert "Try again" not in text_of(client_of(bob).get(f"/vms/{vm.uuid}/"))


def test_signing_in_names_whom_the_machine_was_made_for(make_vm: Any, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(power="running", addresses="10.0.0.7", login="deploy", nics=[])
    assert "ssh deploy@10.0.0.7" in text_of(client_of(alice).get(f"/vms/{vm.uuid}/"))
