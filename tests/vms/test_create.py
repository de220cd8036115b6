"""The create page: name and image are enough, a wrong field loses nothing, and nobody makes what they may not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.jobs.models import Job, JobState
from networking.models import Network
from providers import pool
from providers import services as providers
from providers.guest.passwords import verify_password
from providers.models import Health, Provider
from providers.secrets import unseal
from storage.models import Image, Pool
from tests.conftest import MakeVm
from vms.choices import Presence
from vms.flavors import default_flavors
from vms.models import Flavor, VirtualMachine

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _stock(fake_provider: Provider) -> None:
    """What the provider has, as an inventory would have left it: no page asks the provider itself."""
    default_flavors()
    Image.objects.create(
        provider=fake_provider, external_id="i-debian", name="debian-13", size_gib=3, default_user="debian"
    )
    Image.objects.create(provider=fake_provider, external_id="i-rescue", name="rescue.iso", size_gib=0.2, is_iso=True)
    Network.objects.create(
        provider=fake_provider, external_id="n-lan", name="default", mode="nat", cidrs=["192.0.2.0/24"]
    )
    Pool.objects.create(
        provider=fake_provider, external_id="p-1", name="default", capacity_gib=100, available_gib=50, allocation_gib=50
    )
    fake_provider.host = {"name": "host", "cpus_total": 8, "memory_total_mib": 16384}
    fake_provider.save()


@pytest.fixture
def image() -> Image:
    return Image.objects.get(name="debian-13")


@pytest.fixture
def post(alice: User, client_of: SignIn, image: Image) -> Callable[..., Any]:
    """Alice sends the form: a name and an image, unless a test says otherwise."""
    client = client_of(alice)

    def send(**values: Any) -> Any:
        return client.post("/vms/create", {"name": "web-1", "image": str(image.uuid), **values})

    return send


def spec_of(vm: VirtualMachine) -> dict[str, Any]:
    """What will be sent to the provider."""
    job = Job.objects.get(kind="vm.create", subject=vm.subject)
    spec: dict[str, Any] = json.loads(unseal(job.params["spec"])["spec"])
    return spec


def the_vm() -> VirtualMachine:
    return VirtualMachine.objects.get()


def sentences(response: Any) -> list[str]:
    """All refusals of an answer, fields and rows alike."""
    return [sentence for _, sentence, _ in response.context["form"].all_errors]


# -- what is enough ----------------------------------------------------------------------------------------------------


def test_a_name_and_an_image_are_enough(post: Callable[..., Any], project: Project) -> None:
    answer = post()
    vm = the_vm()
    assert (answer.status_code, answer.url) == (302, f"/vms/{vm.uuid}/")
    assert (vm.presence, vm.project, vm.vcpus, vm.memory_mib) == (Presence.WANTED, project, 1, 1024)
    spec = spec_of(vm)
    assert [(disk["image"], disk["size_gib"]) for disk in spec["disks"]] == [("i-debian", None)]
    assert [nic["network"] for nic in spec["nics"]] == ["n-lan"]
    assert spec["start"] is True


@pytest.mark.parametrize(("typed", "login"), [({}, "debian"), ({"username": "deploy"}, "deploy")])
def test_who_can_sign_in_is_kept(post: Callable[..., Any], image: Image, typed: dict[str, str], login: str) -> None:
    Image.objects.filter(pk=image.pk).update(default_user="debian")
    post(password="correct horse", **typed)
    assert the_vm().login == login


def test_the_guest_for_trying_out_is_chosen_before_anybody_chooses(
    alice: User, client_of: SignIn, image: Image
) -> None:
    Image.objects.create(provider=image.provider, external_id="i-alpine", name="alpine", format="qcow2", size_gib=1)
    assert client_of(alice).get("/vms/create").context["form"].chosen_image is None
    Image.objects.filter(pk=image.pk).update(title="kvweb guest (small Linux for trying out)")
    assert client_of(alice).get("/vms/create").context["form"].chosen_image == image


def test_create_without_start_makes_it_and_leaves_it_off(post: Callable[..., Any]) -> None:
    post(then="stay")
    assert spec_of(the_vm())["start"] is False


def test_the_fake_provider_makes_what_was_asked_for(
    alice: User, client_of: SignIn, fake_provider: Provider, run_jobs: Callable[[], list[Job]]
) -> None:
    providers.check(fake_provider)
    run_jobs()
    image = Image.objects.filter(provider=fake_provider, is_iso=False, missing_since=None).first()
    assert image is not None
    client_of(alice).post("/vms/create", {"name": "real-1", "image": str(image.uuid), "size": "flavor:medium"})
    ended = [job for job in run_jobs() if job.kind == "vm.create"]
    assert [job.state for job in ended] == [JobState.SUCCEEDED], [job.reason for job in ended]
    vm = VirtualMachine.objects.get(name="real-1")
    assert (vm.presence, vm.vcpus, vm.memory_mib) == (Presence.PRESENT, 2, 2048)


def test_a_double_click_makes_one_machine(post: Callable[..., Any]) -> None:
    first, second = post(ticket="t1"), post(ticket="t1")
    assert first.url == second.url
    assert VirtualMachine.objects.count() == 1


# -- who ---------------------------------------------------------------------------------------------------------------


def test_an_operator_is_told_why_not(bob: User, client_of: SignIn) -> None:
    answer = client_of(bob).get("/vms/create")
    assert answer.status_code == 403
    assert "You may not create machines yet" in answer.content.decode()


def test_a_stranger_cannot_create_in_a_project_that_is_not_theirs(
    charlie: User, client_of: SignIn, project: Project, image: Image
) -> None:
    answer = client_of(charlie).post("/vms/create", {"name": "x", "image": image.uuid, "project": project.uuid})
    assert answer.status_code == 422
    assert "You cannot create machines in this project; choose another." in sentences(answer)
    assert not VirtualMachine.objects.exists()


def test_a_provider_that_is_not_open_to_the_project_is_not_offered(
    alice: User, client_of: SignIn, fake_provider: Provider, post: Callable[..., Any]
) -> None:
    fake_provider.projects.set([Project.objects.create(name="Others")])
    page = client_of(alice).get("/vms/create").content.decode()
    assert fake_provider.name not in page
    assert "No provider is open to this project yet." in page
    assert sentences(post(provider=fake_provider.uuid)) == ["This provider is not open to the project; choose another."]


def test_nobody_signed_in_goes_to_the_sign_in_page(client: Client) -> None:
    assert client.get("/vms/create").headers["Location"] == "/accounts/login/?next=/vms/create"


# -- what is wrong is said in words, beside the field ------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": ""}, "name", "Give the machine a name."),
    "a long name": ({"name": "x" * 300}, "name", "This name has 300 characters; 63 is the most."),
    "markup": ({"name": "a&b<c>"}, "name", "A name is made of letters a–z"),
    "a path": ({"name": "../x"}, "name", "A name is made of letters a–z"),
    "an emoji": ({"name": "web😀"}, "name", "A name is made of letters a–z"),
    "no image": ({"image": ""}, "image", "Choose an image, or an empty machine."),
    "an unknown image": ({"image": str(uuid4())}, "image", "This image is not there any more; choose another."),
    "an image that is a path": ({"image": "/etc/passwd"}, "image", "This image is not there any more"),
    "a size that is gone": ({"size": "flavor:gone"}, "size", "This size is not there any more; choose another."),
    "no CPU": ({"size": "own", "vcpus": 0, "memory_mib": 512}, "vcpus", "At least 1 CPU."),
    "less than no CPU": ({"size": "own", "vcpus": -1, "memory_mib": 512}, "vcpus", "At least 1 CPU."),
    "CPUs left out": ({"size": "own", "memory_mib": 512}, "vcpus", "Say how many CPUs it should have."),
    "half a CPU": ({"size": "own", "vcpus": "0.5", "memory_mib": 512}, "vcpus", "A whole number, please."),
    "more CPUs than there are": ({"size": "own", "vcpus": 9, "memory_mib": 512}, "vcpus", "“Testville” has 8 CPUs."),
    "more memory than there is": (
        {"size": "own", "vcpus": 1, "memory_mib": 20000},
        "memory_mib",
        "“Testville” has 16 GiB of memory.",
    ),
    "no memory": ({"size": "own", "vcpus": 1, "memory_mib": 0}, "memory_mib", "At least 64 MiB."),
    "a disk of nothing": ({"disk_gib": 0}, "disk_gib", "At least 1 GiB."),
    "a disk smaller than the image": ({"disk_gib": 2}, "disk_gib", "This image needs at least 3 GiB."),
    "a disk larger than the pool": ({"disk_gib": 51}, "disk_gib", "The pool “default” has 50.0 GiB free."),
    "a pool that is gone": ({"pool": str(uuid4())}, "pool", "This pool is not there any more; choose another."),
    "a user name with capitals": ({"username": "Alice"}, "username", "A user name is made of small letters"),
    "a short password": ({"password": "short"}, "password", "At least 8 characters, please."),
    "no key at all": ({"new_key": "hello"}, "new_key", "This is not a public key"),
    "somebody else's key": ({"keys": ["4711"]}, "keys", "One of these keys is not in your account any more."),
    "a host name with a space": ({"hostname": "my host"}, "hostname", "A host name is made of"),
    "user data without a header": ({"user_data": "hello"}, "user_data", "User data must begin with a line"),
    "YAML that is none": ({"user_data": "#cloud-config\na: ["}, "user_data", "This YAML cannot be read in line 2"),
    "a firmware that is not there": ({"firmware": "coreboot"}, "firmware", "does not have this firmware"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_is_answered_in_words_and_makes_nothing(case: str, post: Callable[..., Any]) -> None:
    values, field, sentence = WRONG[case]
    answer = post(**values)
    assert answer.status_code == 422
    assert sentence in " ".join(answer.context["form"].errors[field])
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not VirtualMachine.objects.exists()


def test_a_name_is_taken_whoever_has_it(post: Callable[..., Any], make_vm: MakeVm, charlie: User) -> None:
    make_vm(name="web-1", project=Project.objects.get(name="Elsewhere"))
    assert sentences(post()) == ["This name is taken at “Testville”; choose another."]


@pytest.mark.parametrize("presence", [Presence.DELETED, Presence.MISSING])
def test_a_name_is_free_again_when_its_machine_is_gone(
    presence: str, post: Callable[..., Any], make_vm: MakeVm
) -> None:
    make_vm(name="web-1", presence=presence)
    assert post().status_code == 302


def test_an_image_that_vanished_meanwhile_is_refused(post: Callable[..., Any], image: Image) -> None:
    Image.objects.filter(pk=image.pk).update(missing_since=datetime.now(UTC))
    assert sentences(post()) == ["This image is not there any more; choose another."]


def test_a_network_that_vanished_meanwhile_is_refused(post: Callable[..., Any]) -> None:
    network = Network.objects.get()
    Network.objects.update(missing_since=datetime.now(UTC))
    answer = post(**{"nic-TOTAL_FORMS": 1, "nic-INITIAL_FORMS": 0, "nic-0-network": network.uuid})
    assert sentences(answer) == ["This network is not there any more; choose another."]


def test_a_wrong_address_is_said_at_its_card(post: Callable[..., Any]) -> None:
    row = {"nic-TOTAL_FORMS": 1, "nic-INITIAL_FORMS": 0, "nic-0-network": Network.objects.get().uuid}
    answer = post(**row, **{"nic-0-address": "198.51.100.9"})
    assert answer.context["form"].all_errors == [
        ("Network card 1", "This network has the addresses 192.0.2.0/24.", "id_nic-0-address")
    ]


def test_a_fixed_address_reaches_the_provider_with_its_prefix(post: Callable[..., Any]) -> None:
    row = {"nic-TOTAL_FORMS": 1, "nic-INITIAL_FORMS": 0, "nic-0-network": Network.objects.get().uuid}
    post(**row, **{"nic-0-address": "192.0.2.9"})
    [nic] = spec_of(the_vm())["nics"]
    assert (nic["address"], nic["gateway"]) == ("192.0.2.9/24", "192.0.2.1")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"is_enabled": False}, "“Testville” is disabled; choose another."),
        (
            {"health": Health.FAILED, "health_reason": "The host does not answer."},
            "“Testville” cannot be reached at the moment: The host does not answer.",
        ),
    ],
)
def test_a_provider_that_cannot_be_used_says_why(
    changes: dict[str, Any], says: str, post: Callable[..., Any], fake_provider: Provider
) -> None:
    Provider.objects.update(**changes)
    assert sentences(post(provider=fake_provider.uuid)) == [says]


def test_everything_wrong_is_said_at_once(post: Callable[..., Any]) -> None:
    answer = post(
        name="", disk_gib=0, user_data="x", **{"disk-TOTAL_FORMS": 1, "disk-INITIAL_FORMS": 0, "disk-0-size_gib": -1}
    )
    assert len(sentences(answer)) == 4
    assert "4 things need another look." in answer.content.decode()


def test_a_failed_form_keeps_everything_typed_except_the_password(post: Callable[..., Any]) -> None:
    page = post(
        name="bad name!",
        username="deploy",
        password="hunter2secret",
        description="a & b",
        commands="echo <hi>",
        **{"disk-TOTAL_FORMS": 1, "disk-INITIAL_FORMS": 0, "disk-0-size_gib": 7},
    ).content.decode()
    for kept in ('value="bad name!"', 'value="deploy"', "a &amp; b", "echo &lt;hi&gt;", 'value="7"'):
        assert kept in page
    assert "hunter2secret" not in page


def test_what_another_choice_hides_is_not_complained_about(post: Callable[..., Any]) -> None:
    assert post(size="flavor:small", vcpus=-3, memory_mib="x").status_code == 302


def test_an_iso_needs_a_disk_and_leaves_access_to_its_installer(post: Callable[..., Any]) -> None:
    iso = Image.objects.get(is_iso=True)
    assert sentences(post(image=iso.uuid)) == ["Say how large its disk should be; there is no image to tell."]
    post(image=iso.uuid, disk_gib=10, password="hunter2secret", username="Wrong")
    spec = spec_of(the_vm())
    assert (spec["iso"], spec["cloud_init"]) == ("i-rescue", None)
    assert [(disk["image"], disk["size_gib"]) for disk in spec["disks"]] == [("", 10)]


def test_a_size_beyond_the_host_is_greyed_and_refused(post: Callable[..., Any], alice: User, client_of: SignIn) -> None:
    Flavor.objects.create(name="giant", vcpus=64, memory_mib=1024, position=9)
    assert "“Testville” has 8 CPUs." in client_of(alice).get("/vms/create").content.decode()
    assert sentences(post(size="flavor:giant")) == ["This is too large: “Testville” has 8 CPUs."]


def test_a_cloud_offers_its_own_flavors(post: Callable[..., Any], fake_provider: Provider) -> None:
    fake_provider.capabilities["machines"]["own_size"] = False
    fake_provider.host = {"flavors": [{"external_id": "m1", "name": "m1.small", "vcpus": 2, "memory_mib": 4096}]}
    fake_provider.save()
    assert "This size is not there any more; choose another." in sentences(post(size="own", vcpus=1, memory_mib=512))
    assert post().status_code == 302
    assert (spec_of(the_vm())["flavor"], the_vm().vcpus) == ("m1", 2)


# -- secrets and keys --------------------------------------------------------------------------------------------------


def test_only_the_hash_of_a_password_goes_anywhere(post: Callable[..., Any], image: Image) -> None:
    post(password="hunter2secret", username="deploy")
    job = Job.objects.get(kind="vm.create")
    assert "hunter2secret" not in json.dumps([job.form, job.params, job.result, job.title])
    [user] = spec_of(the_vm())["cloud_init"]["users"]
    assert user["name"] == "deploy"
    assert verify_password("hunter2secret", user["password_hash"])


def test_what_may_hold_secrets_is_kept_sealed(post: Callable[..., Any]) -> None:
    post(commands="curl -H token=s3cr3t x", user_data="#!/bin/sh\necho pa55phrase\n")
    form = json.dumps(Job.objects.get(kind="vm.create").form)
    assert "s3cr3t" not in form
    assert "pa55phrase" not in form


def test_a_new_key_reaches_the_machine_and_the_account(post: Callable[..., Any], alice: User) -> None:
    post(new_key=f"{KEY} laptop", keep_key="on")
    assert spec_of(the_vm())["cloud_init"]["ssh_keys"] == [f"{KEY} laptop"]
    assert [(key.name, key.public_key) for key in alice.ssh_keys.all()] == [("laptop", f"{KEY} laptop")]


def test_a_new_key_is_not_kept_when_nobody_asked(post: Callable[..., Any], alice: User) -> None:
    post(new_key=KEY)
    assert not alice.ssh_keys.exists()


def test_saved_keys_are_ticked_and_only_ticked_ones_are_used(
    post: Callable[..., Any], alice: User, client_of: SignIn
) -> None:
    first = alice.ssh_keys.create(name="one", public_key=f"{KEY} one")
    alice.ssh_keys.create(name="two", public_key=f"{KEY} two")
    page = client_of(alice).get("/vms/create").content.decode()
    assert len(re.findall(r'name="keys"[^>]* checked', page)) == 2
    post(keys=[str(first.pk)])
    assert spec_of(the_vm())["cloud_init"]["ssh_keys"] == [f"{KEY} one"]


def test_a_private_key_is_refused_and_not_sent_back(post: Callable[..., Any], alice: User) -> None:
    answer = post(new_key="-----BEGIN OPENSSH PRIVATE KEY-----\nTOPSECRET\n-----END OPENSSH PRIVATE KEY-----")
    assert answer.context["form"].errors["new_key"][0].startswith("This is a private key.")
    assert "TOPSECRET" not in answer.content.decode()
    assert not alice.ssh_keys.exists()


# -- the page while one chooses ----------------------------------------------------------------------------------------


def test_another_provider_shows_its_own_images_and_keeps_what_was_typed(
    alice: User, client_of: SignIn, image: Image
) -> None:
    other = Provider.objects.create(
        kind="fake", name="Othertown", health=Health.OK, capabilities=image.provider.capabilities
    )
    Image.objects.create(provider=other, external_id="x", name="suse", size_gib=1)
    typed = {"name": "half ty", "image": image.uuid, "provider": other.uuid, "refresh": "1", "description": "d & d"}
    answer = client_of(alice).post("/vms/create", typed, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "suse" in page
    assert "debian-13" not in page
    assert 'value="half ty"' in page
    assert "d &amp; d" in page
    assert "invalid-feedback" not in page
    assert "<html" not in page
    assert not VirtualMachine.objects.exists()


def test_a_project_that_the_provider_is_not_open_to_falls_back_to_another_provider(
    alice: User, client_of: SignIn, fake_provider: Provider, project: Project
) -> None:
    farm = Project.objects.create(name="Farm")
    Membership.objects.create(user=alice, project=farm, role=Role.MEMBER)
    fake_provider.projects.set([project])
    other = Provider.objects.create(kind="fake", name="Othertown", health=Health.OK)
    typed = {"name": "x", "project": farm.uuid, "provider": fake_provider.uuid, "refresh": "1"}
    form = client_of(alice).post("/vms/create", typed).context["form"]
    assert form.offer.providers == [other]
    assert (form["project"].value(), form["provider"].value()) == (str(farm.uuid), str(other.uuid))


def test_cards_and_disks_come_and_go_without_losing_the_others(alice: User, client_of: SignIn) -> None:
    client, network = client_of(alice), Network.objects.get()
    rows = {"nic-TOTAL_FORMS": 1, "nic-INITIAL_FORMS": 0, "nic-0-network": network.uuid, "nic-0-address": "192.0.2.9"}
    two = client.post("/vms/create", {"name": "x", **rows, "add": "nic"}).context["form"].nics
    assert [form["address"].value() for form in two] == ["192.0.2.9", None]
    rows |= {"nic-TOTAL_FORMS": 2, "nic-1-network": network.uuid, "nic-1-address": "192.0.2.10"}
    one = client.post("/vms/create", {"name": "x", **rows, "remove": "nic-0"}).context["form"].nics
    assert [form["address"].value() for form in one] == ["192.0.2.10"]
    disks = client.post("/vms/create", {"name": "x", "add": "disk"}).context["form"].disks
    assert len(disks.forms) == 1


def test_a_card_that_says_no_more_than_the_usual_is_meant(post: Callable[..., Any]) -> None:
    post(**{"nic-TOTAL_FORMS": 1, "nic-INITIAL_FORMS": 0, "nic-0-network": Network.objects.get().uuid})
    assert [nic["network"] for nic in spec_of(the_vm())["nics"]] == ["n-lan"]


def test_a_disk_without_a_size_is_asked_for_it(post: Callable[..., Any]) -> None:
    answer = post(**{"disk-TOTAL_FORMS": 1, "disk-INITIAL_FORMS": 0, "disk-0-size_gib": ""})
    assert sentences(answer) == ["Say how large it should be."]


def test_a_machine_may_have_no_network(post: Callable[..., Any]) -> None:
    post(**{"nic-TOTAL_FORMS": 0, "nic-INITIAL_FORMS": 0})
    assert spec_of(the_vm())["nics"] == []


def test_the_page_asks_the_database_little_and_the_provider_nothing(
    alice: User,
    client_of: SignIn,
    fake_provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    def refuse(provider: Provider) -> None:
        raise AssertionError(f"The page asked “{provider}”.")

    monkeypatch.setattr(pool, "connect", refuse)
    for number in range(50):
        Image.objects.create(provider=fake_provider, external_id=f"i-{number}", name=f"image-{number}", size_gib=1)
        Network.objects.create(provider=fake_provider, external_id=f"n-{number}", name=f"net-{number}", mode="nat")
    client = client_of(alice)
    with django_assert_max_num_queries(14):
        assert client.get("/vms/create").status_code == 200


def test_a_link_fills_the_form_in(alice: User, client_of: SignIn, image: Image) -> None:
    for wanted in (str(image.uuid), "debian-13"):
        form = client_of(alice).get("/vms/create", {"image": wanted, "name": "linked"}).context["form"]
        assert (form["name"].value(), form["image"].value()) == ("linked", str(image.uuid))


def test_a_link_to_nonsense_shows_the_usual_form(alice: User, client_of: SignIn) -> None:
    query = {"image": "nope", "project": "nope", "provider": "nope", "size": "nope", "again": "nope"}
    assert client_of(alice).get("/vms/create", query).status_code == 200


# -- the same again ----------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(post: Callable[..., Any]) -> Job:
    """A creation that failed, with everything that was typed."""
    post(description="for tests", commands="echo hi", size="flavor:large")
    job = Job.objects.get(kind="vm.create")
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, reason="No room left.")
    VirtualMachine.objects.update(problem="Create failed: No room left.")
    job.refresh_from_db()
    return job


def test_a_failed_creation_opens_as_it_was_typed(failed: Job, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).get("/vms/create", {"again": str(failed.uuid)})
    form, page = answer.context["form"], answer.content.decode()
    assert form["name"].value() == "web-1"
    assert form["size"].value() == "flavor:large"
    assert form["commands"].value() == "echo hi"
    assert "The last try failed:" in page
    assert "No room left." in page


def test_trying_again_uses_the_row_again(failed: Job, post: Callable[..., Any]) -> None:
    before = the_vm()
    assert post(again=failed.uuid, size="flavor:tiny").status_code == 302
    after = the_vm()
    assert (after.pk, after.memory_mib, after.problem) == (before.pk, 256, "")


def test_a_row_that_became_something_is_not_used_again(
    failed: Job, post: Callable[..., Any], alice: User, client_of: SignIn
) -> None:
    VirtualMachine.objects.update(presence=Presence.PRESENT)
    form = client_of(alice).get("/vms/create", {"again": str(failed.uuid)}).context["form"]
    assert form["name"].value() == "web-2"
    assert "This name is taken" in sentences(post(again=failed.uuid))[0]
    assert post(again=failed.uuid, name="web-2").status_code == 302
    assert VirtualMachine.objects.count() == 2


def test_a_colleague_sees_the_form_but_not_its_secrets(failed: Job, project: Project, client_of: SignIn) -> None:
    colleague = User.objects.create_user("dora", "", "x")
    Membership.objects.create(user=colleague, project=project, role=Role.MEMBER)
    form = client_of(colleague).get("/vms/create", {"again": str(failed.uuid)}).context["form"]
    assert form["description"].value() == "for tests"
    assert not form["commands"].value()


def test_a_stranger_cannot_open_it(failed: Job, charlie: User, client_of: SignIn) -> None:
    answer = client_of(charlie).get("/vms/create", {"again": str(failed.uuid)})
    assert "for tests" not in answer.content.decode()
    assert not answer.context["form"]["name"].value()
