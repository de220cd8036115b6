"""Images on their way in: what is taken, and each way in which a vendor's server or file can be bad."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from providers.base import QUIET, Cancelled, FetchRules, ImageSpec, InvalidRequest, NotFound, ProviderError, Unreachable
from providers.transfer import http, source
from providers.transfer.source import opened
from tests.providers.transfer.vendor import Vendor, cut, drip, endless, redirect

HERE = FetchRules(http=True, networks=("127.0.0.0/8",))
CONTENT = os.urandom(1024 * 1024 + 17)


def qcow2(backing: bytes = b"") -> bytes:
    at = 512 if backing else 0
    head = struct.pack(">4sIQIIQI", b"QFI\xfb", 3, at, len(backing), 16, 5 << 30, 0)
    return head.ljust(512, b"\0") + backing.ljust(512, b"\0") + b"clusters" * 1000


def brought(url: str, rules: FetchRules = HERE, progress: Any = QUIET, **wish: Any) -> bytes:
    spec = ImageSpec(name="image", url=url, fetch=rules, **wish)
    with opened(spec, progress) as brought_in:
        return b"".join(brought_in.pieces(progress))


def refusal(url: str, rules: FetchRules = HERE, **wish: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        brought(url, rules, **wish)
    return caught.value


# -- what is taken -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pack",
    [
        lambda content: content,
        gzip.compress,
        lzma.compress,
        bz2.compress,
        zstandard.ZstdCompressor().compress,
        lambda content: gzip.compress(content[:1000]) + gzip.compress(content[1000:]),
        lambda content: lzma.compress(content[:1000]) + lzma.compress(content[1000:]) + bytes(8),
    ],
    ids=["plain", "gzip", "xz", "bzip2", "zstd", "two gzip members", "two xz streams and padding"],
)
def test_a_file_is_unpacked_whatever_it_is_called(shop: Vendor, pack: Any) -> None:
    packed = pack(CONTENT)
    url = shop.offer("/image.exe", packed)
    assert brought(url, checksum=hashlib.sha256(packed).hexdigest()) == CONTENT


def test_the_virtual_size_of_a_qcow2_is_known_before_its_end(shop: Vendor) -> None:
    spec = ImageSpec(name="image", url=shop.offer("/x", gzip.compress(qcow2())), fetch=HERE)
    with opened(spec, QUIET) as found:
        assert (found.header.format, found.header.virtual_bytes, found.length) == ("qcow2", 5 << 30, None)


def test_a_redirect_is_followed(shop: Vendor) -> None:
    shop.offer("/there/image", CONTENT)
    assert brought(shop.behave("/here", redirect("/there/image"))) == CONTENT


def test_a_local_file_is_read_by_the_same_rules(tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(lzma.compress(CONTENT))
    with opened(ImageSpec(name="image", path=str(file)), QUIET) as found:
        assert b"".join(found.pieces(QUIET)) == CONTENT


# -- checksums ---------------------------------------------------------------------------------------------------------

DIGEST = hashlib.sha256(CONTENT).hexdigest()
LONG_DIGEST = hashlib.sha512(CONTENT).hexdigest()


@pytest.mark.parametrize(
    "listed",
    [
        f"{'0' * 64}  other.img\n{DIGEST}  image.img\n",
        f"{DIGEST} *./image.img\n{'1' * 64} *image.img.xz\n",
        f"SHA512 (image.img) = {LONG_DIGEST}\nSHA512 (other.img) = {'2' * 128}\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# image.img: 3 bytes\nSHA256 (image.img) = {DIGEST}\n",
        f"{DIGEST}\n",
        f"{DIGEST.upper()}  some-other-name-for-the-only-file\n",
    ],
    ids=["of two", "with a path", "BSD", "signed", "alone", "of another name"],
)
def test_the_checksum_is_found_in_the_vendors_list(shop: Vendor, listed: str) -> None:
    sums = shop.offer("/SUMS", listed.encode())
    assert brought(shop.offer("/release/image.img", CONTENT), checksum_url=sums) == CONTENT


def test_a_list_that_does_not_name_the_file_is_no_proof(shop: Vendor) -> None:
    listed = f"{DIGEST}  other.img\n{'3' * 64}  another.img\n"
    exc = refusal(shop.offer("/image.img", CONTENT), checksum_url=shop.offer("/SUMS", listed.encode()))
    assert (type(exc), exc.field) == (InvalidRequest, "checksum")


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress])
def test_a_wrong_checksum_is_told_at_the_end(shop: Vendor, pack: Any) -> None:
    exc = refusal(shop.offer("/x", pack(CONTENT)), checksum="sha256:" + "0" * 64)
    assert (type(exc), exc.field) == (InvalidRequest, "checksum")


@pytest.mark.parametrize(
    "checksum", ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha512:" + "0" * 64, "none", "sha256:xyz"]
)
def test_a_checksum_that_proves_nothing_is_refused(shop: Vendor, checksum: str) -> None:
    assert refusal(shop.offer("/x", CONTENT), checksum=checksum).field == "checksum"
    assert shop.asked == []


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (qcow2(b"/etc/shadow"), "another file"),
        (gzip.compress(qcow2(b"/etc/shadow")), "another file"),
        (b"KDMV" + CONTENT, "VMware"),
        (b"<<< Oracle VM VirtualBox Disk Image >>>\n" + bytes(1000), "VirtualBox"),
        (b"PK\x03\x04" + CONTENT, "ZIP"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        ("Milk, eggs and 2 kg of crème fraîche\n".encode() * 100, "text file"),
        (b"%PDF-1.7\n" + CONTENT, "PDF"),
        (b"\x89PNG\r\n\x1a\n" + CONTENT, "picture"),
        (gzip.compress(gzip.compress(CONTENT)), "packed twice"),
        (b"", "empty"),
        (gzip.compress(CONTENT)[:-9], "damaged"),
        (lzma.compress(CONTENT)[:100_000], "damaged"),
        (zstandard.ZstdCompressor().compress(CONTENT)[:100_000], "damaged"),
        (b"BZh91AY&SY" + os.urandom(50_000), "damaged"),
    ],
)
def test_what_is_no_image_is_refused_with_a_sentence(shop: Vendor, content: bytes, word: str) -> None:
    exc = refusal(shop.offer("/debian.qcow2", content))
    assert isinstance(exc, InvalidRequest)
    assert word in exc.reason


def test_a_disk_is_no_iso(shop: Vendor) -> None:
    assert "no ISO" in refusal(shop.offer("/x.iso", CONTENT), is_iso=True).reason


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:1/x",
        "http://[::1]/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[64:ff9b::7f00:1]/x",
        "http://[2002:7f00:1::]/x",
        "http://0.0.0.0/x",
        "http://2130706433/x",
        "http://224.0.0.1/x",
        "http://100.64.0.1/x",
        "http://[fe80::1]/x",
    ],
)
def test_addresses_inside_are_not_asked(url: str) -> None:
    exc = refusal(url, FetchRules(http=True))
    assert isinstance(exc, InvalidRequest)
    assert exc.field == "url"


def test_a_redirect_inside_is_not_followed(shop: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is allowed here, as a public one would be; the one that it leads to is not."""
    inner = shop.offer("/secret", CONTENT).replace("127.0.0.1", "127.0.0.2")
    outer = shop.behave("/public", redirect(inner))
    exc = refusal(outer, FetchRules(http=True, networks=("127.0.0.1/32",)))
    assert isinstance(exc, InvalidRequest)
    assert shop.asked == ["/public"]


def test_a_redirect_from_https_to_http_is_not_followed(shop: Vendor) -> None:
    rules = FetchRules(networks=HERE.networks)
    assert "https" in refusal(shop.offer("/x", CONTENT), rules).reason


def test_the_address_that_was_checked_is_the_one_that_is_asked(shop: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is looked up again could lead elsewhere the second time."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, *args: Any, **how: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "vendor.example" else host, *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = shop.offer("/x", CONTENT).replace("127.0.0.1", "vendor.example")
    assert brought(url) == CONTENT
    assert asked.count("vendor.example") == 1


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://ftp.example/x",
        "https://",
        "https://a:b@example.org/x",
        "gopher://x",
        "https://exa mple/",
        "https://x:99999/",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    assert isinstance(refusal(url), InvalidRequest)


@pytest.mark.parametrize(
    ("path", "answer", "family", "word"),
    [
        ("/gone", None, NotFound, "no file"),
        ("/cut", cut(CONTENT, promised=len(CONTENT) + 5), Unreachable, "broke off"),
        ("/circle", redirect("/circle"), Unreachable, "circles"),
        ("/endless", endless(bytes(1 << 20)), InvalidRequest, "larger"),
    ],
)
def test_what_a_bad_server_does_is_told(shop: Vendor, path: str, answer: Any, family: type, word: str) -> None:
    url = shop.behave(path, answer) if answer else f"{shop.url}{path}"
    exc = refusal(url, HERE.model_copy(update={"most_bytes": 8 << 20}))
    assert isinstance(exc, family)
    assert word in exc.reason


def test_nobody_there_is_unreachable() -> None:
    assert isinstance(refusal("http://127.0.0.1:9/x"), Unreachable)


def test_a_server_that_drips_is_left(shop: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SPAN_S", 0.2)
    exc = refusal(shop.behave("/slow", drip(CONTENT, every_s=0.02)))
    assert "slowly" in exc.reason


def test_a_server_that_falls_silent_is_left(shop: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SILENCE_S", 0.2)
    exc = refusal(shop.behave("/silent", drip(CONTENT, every_s=5)))
    assert isinstance(exc, Unreachable)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress])
def test_a_bomb_goes_off_at_the_limit(shop: Vendor, pack: Any) -> None:
    url = shop.offer("/bomb", pack(b"kvweb" + bytes(64 << 20)))
    exc = refusal(url, HERE.model_copy(update={"most_bytes": 8 << 20}))
    assert "larger" in exc.reason


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_cancelling_stops_between_two_pieces_and_lets_the_reader_go(shop: Vendor) -> None:
    class Impatient:
        def report(self, percent: int, sentence: str) -> None:
            del percent, sentence

        def checkpoint(self) -> None:
            raise Cancelled

    url = shop.behave("/endless", endless(os.urandom(1 << 16)))
    with pytest.raises(Cancelled):
        brought(url, progress=Impatient())
    deadline = time.monotonic() + 5
    while any(thread.name == "image-reader" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_progress_tells_how_far_and_how_fast(shop: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_TELL_EVERY_S", 0.0)

    class Story(list[tuple[int, str]]):
        def report(self, percent: int, sentence: str) -> None:
            self.append((percent, sentence))

        def checkpoint(self) -> None:
            return None

    story = Story()
    brought(shop.offer("/x", CONTENT), progress=story)
    assert [percent for percent, _ in story] == sorted(percent for percent, _ in story)
    assert "of 1 MiB" in story[-1][1]
    assert "MiB/s" in story[-1][1]
