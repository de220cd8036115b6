"""An existing document is edited, never written anew: what is not named stays, known or not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from providers.base import InvalidRequest
from providers.kvm.xml.edit import close_document, drop, open_document, put
from providers.kvm.xml.memory import write_amount
from providers.kvm.xml.processor import write_vcpus
from providers.kvm.xml.shape import read_shape, write_shape
from tests.providers.kvm.odd_documents import odd_document

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
GOLDEN = Path(__file__).with_name("golden")
DOCUMENTS = 132

FIRMWARE = ("os/@firmware", "os/firmware", "os/loader", "os/nvram")
CPU = ("cpu/@mode", "cpu/@match", "cpu/@check", "cpu/@migratable", "cpu/model", "cpu/vendor")
#: What is wanted → paths that may differ afterwards.
EDITS: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({"max_vcpus": 16}, ("vcpu", "vcpus")),
    ({"max_memory_mib": 8192}, ("memory", "currentMemory")),
    (
        {"max_memory_mib": 8192, "memory_slots": 4},
        ("memory", "currentMemory", "maxMemory", "cpu/numa"),
    ),
    (
        {"cpu_model": "Skylake-Client"},
        ("cpu/@mode", "cpu/@match", "cpu/@check", "cpu/@migratable", "cpu/model", "cpu/vendor"),
    ),
    ({"cpu_mode": "host-passthrough"}, CPU),
    ({"sockets": 1, "cores": 2, "threads": 2}, ("cpu/topology",)),
    ({"pinning": ["0=2-3", "1=^1,0-2"]}, ("cputune/vcpupin",)),
    ({"numa": ["0-1=1024", "2-3=1024"]}, ("cpu/numa",)),
    ({"hugepages": "2048"}, ("memoryBacking/hugepages",)),
    ({"numa_nodes": "0-1", "numa_mode": "interleave"}, ("numatune/memory",)),
    ({"firmware": "uefi", "secure_boot": True}, FIRMWARE),
    ({"firmware": "bios"}, FIRMWARE),
    ({"boot_order": ["vda"]}, ("os/boot", "devices/*/boot")),
    ({"boot_menu": True}, ("os/bootmenu",)),
    ({"clock": "localtime"}, ("clock/@offset", "clock/@adjustment", "clock/@basis")),
    ({"tpm": True}, ("devices/tpm",)),
    ({"watchdog": "i6300esb", "watchdog_action": "pause"}, ("devices/watchdog",)),
    ({"rng": False}, ("devices/rng",)),
    ({"agent": True}, ("devices/channel[target/@name='org.qemu.guest_agent.0']",)),
    ({"agent": False}, ("devices/channel[target/@name='org.qemu.guest_agent.0']",)),
    ({"video": "virtio"}, ("devices/video", "devices/graphics", "devices/input")),
    (
        {"video": "none"},
        ("devices/video", "devices/graphics", "devices/*[@type='spicevmc']", "devices/audio[@type='spice']"),
    ),
    ({"clipboard": True}, ("devices/channel[target/@name='com.redhat.spice.0']",)),
    ({"pci_devices": ["0000:00:1f.2"]}, ("devices/hostdev[@type='pci']",)),
    ({"usb_devices": ["046d:c52b"]}, ("devices/hostdev[source/vendor]",)),
    ({"shares": ["data=/srv/data"]}, ("devices/filesystem[driver]", "memoryBacking/source", "memoryBacking/access")),
)
#: Containers that an edit may make or leave away: they say nothing by themselves.
HOLLOW = ("cpu", "cputune", "memoryBacking", "numatune")


@cache
def schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(SCHEMA))


def is_valid(text: str) -> bool:
    return bool(schema().validate(etree.fromstring(text.encode())))


def rest_of(text: str, touched: tuple[str, ...]) -> bytes:
    """The document without what an edit may touch, in its canonical form, with its comments."""
    root = etree.fromstring(text.encode(), etree.XMLParser(remove_blank_text=True, strip_cdata=False))
    for path in touched:
        found: Any = root.xpath(path)
        for one in found:
            if isinstance(one, etree._Element):
                drop(one)
            else:
                del one.getparent().attrib[one.attrname]
    for tag in HOLLOW:
        element = root.find(tag)
        if element is not None and not len(element) and not element.attrib:
            drop(element)
    for element in root.iter():
        if len(element) and not (element.text or "").strip():
            element.text = None
        if not (element.tail or "").strip():
            element.tail = None
    return etree.tostring(root, method="c14n", with_comments=True)


@pytest.mark.parametrize("number", range(DOCUMENTS))
def test_one_thing_changes_and_everything_else_stays(number: int) -> None:
    before = odd_document(number)
    wanted, touched = EDITS[number % len(EDITS)]
    root = open_document(before)
    write_shape(root, wanted)
    after = close_document(root)
    assert rest_of(after, touched) == rest_of(before, touched)
    assert "<!-- written by hand -->" in after
    # What the default means is not said.
    said: dict[str, Any] = {"pci_devices": [], **read_shape(open_document(after))}
    for name, value in wanted.items():
        assert said.get(name, False) == value
    if is_valid(before):
        assert is_valid(after), str(schema().error_log)


def test_most_of_the_odd_documents_are_what_the_schema_allows() -> None:
    """Otherwise the test above would prove little."""
    # Name and uuid are different anyway.
    assert len({odd_document(number).partition("</uuid>")[2] for number in range(DOCUMENTS)}) == DOCUMENTS
    assert sum(is_valid(odd_document(number)) for number in range(DOCUMENTS)) > DOCUMENTS * 0.9


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_setting_what_is_set_changes_nothing(path: Path) -> None:
    text = path.read_text()
    root = open_document(text)
    shape = read_shape(root)
    write_shape(root, {name: shape[name] for name in ("rng", "agent", "boot_order") if name in shape})
    again = read_shape(root)
    assert again == shape


def test_numbers_change_in_place() -> None:
    root = open_document(odd_document(1))
    write_vcpus(root, 2, 8)
    write_amount(root, 512, 1024)
    vcpu, memory = root.find("vcpu"), root.find("memory")
    assert vcpu is not None
    assert memory is not None
    assert dict(vcpu.items()) == {"placement": "static", "cpuset": "0-3", "current": "2"}
    assert (vcpu.text, memory.text) == ("8", "1048576")
    assert memory.get("dumpCore") == "off"


def test_a_flag_is_added_and_another_taken_away_while_the_rest_keeps_its_policy() -> None:
    root = open_document(
        "<domain><cpu mode='custom'><model>Nehalem</model><feature policy='force' name='aes'/>"
        "<feature policy='require' name='vmx'/></cpu></domain>"
    )
    write_shape(root, {"cpu_flags": ["+aes", "-hle"]})
    policies = {feature.get("name"): feature.get("policy") for feature in root.iterfind("cpu/feature")}
    assert policies == {"aes": "force", "hle": "disable"}


def test_flags_without_a_cpu_are_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match="choose one first") as caught:
        write_shape(open_document("<domain><devices/></domain>"), {"cpu_flags": ["+vmx"]})
    assert caught.value.field == "options.cpu_flags"


def test_devices_start_in_the_order_that_was_asked_for_and_no_other() -> None:
    root = open_document(odd_document(3))
    write_shape(root, {"boot_order": ["network", "vda"]})
    names = read_shape(root)["boot_order"]
    assert names[-1] == "vda"
    assert not root.findall("os/boot")
    with pytest.raises(InvalidRequest, match="vdz"):
        write_shape(root, {"boot_order": ["vdz"]})


def test_text_after_an_element_survives_the_element() -> None:
    root = open_document("<a>before<b/>between<c/>after</a>")
    drop(root.find("b"))
    drop(root.find("c"))
    put(root, "d", "new")
    assert close_document(root) == "<a>beforebetweenafter<d>new</d></a>"
