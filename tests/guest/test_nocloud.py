"""Seeds applied to a fake root: accounts, passwords, keys, files, commands, network."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import FakeRoot, dump

# The shape of a SHA-512 crypt; nothing here checks a password against it.
HASH = "$6$saltsalt$" + "x" * 86
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEabcdefghijklmnop anna@example.org"


def crypt(applets: Path, password: str, salt: str) -> str:
    """The SHA-512 crypt of a password."""
    command = [str(applets / "mkpasswd"), "-m", "sha512", "-S", salt, "-P", "0"]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip()


def assert_password(fake: FakeRoot, applets: Path, user: str, password: str) -> None:
    """Check what shadow holds by hashing again."""
    stored = fake.field("shadow", user, 1)
    assert stored.startswith("$6$")
    assert stored == crypt(applets, password, stored.split("$")[2])


class TestIdentity:
    def test_host_name(self, fake: FakeRoot) -> None:
        fake.configure({"hostname": "box-7"}, "instance-id: i\nlocal-hostname: other\n")
        assert fake.read("etc/hostname") == "box-7\n"
        assert "127.0.1.1 box-7\n" in fake.read("etc/hosts")

    def test_full_name(self, fake: FakeRoot) -> None:
        fake.configure({"hostname": "x", "fqdn": "box.example.org"})
        assert fake.read("etc/hostname") == "box\n"
        assert "127.0.1.1 box.example.org box\n" in fake.read("etc/hosts")

    def test_host_name_of_meta_data(self, fake: FakeRoot) -> None:
        fake.apply("", '{"instance-id": "i", "local-hostname": "from-meta"}')
        assert fake.read("etc/hostname") == "from-meta\n"

    def test_a_bad_host_name_is_refused(self, fake: FakeRoot) -> None:
        fake.configure({"hostname": "a b; rm -rf /"})
        assert fake.read("etc/hostname") == "kvweb-guest\n"
        assert "host name" in fake.log

    def test_an_instance_is_set_up_once(self, fake: FakeRoot) -> None:
        fake.configure({"hostname": "first"})
        machine_id = fake.read("etc/machine-id")
        key = fake.path / "etc/dropbear/dropbear_ed25519_host_key"
        key.parent.mkdir()
        key.write_text("secret")
        fake.configure({"hostname": "second"})
        assert fake.read("etc/hostname") == "first\n"
        assert key.exists()
        fake.configure({"hostname": "second"}, "instance-id: two\n")
        assert fake.read("etc/hostname") == "second\n"
        assert fake.read("etc/machine-id") != machine_id
        assert not key.exists()

    def test_without_an_instance_id_the_content_tells(self, fake: FakeRoot) -> None:
        fake.configure({"hostname": "first"}, "")
        fake.configure({"hostname": "second"}, "")
        assert fake.read("etc/hostname") == "second\n"


class TestUsers:
    def test_a_user_with_everything(self, fake: FakeRoot) -> None:
        fake.configure(
            {
                "users": [
                    {
                        "name": "kvweb",
                        "gecos": "Anna Ünal",
                        "hashed_passwd": HASH,
                        "lock_passwd": False,
                        "shell": "/bin/sh",
                        "sudo": "ALL=(ALL) NOPASSWD:ALL",
                        "groups": "adm, staff",
                        "ssh_authorized_keys": [KEY, 'ssh-rsa BBBB it\'s "two"'],
                    }
                ]
            }
        )
        assert fake.field("shadow", "kvweb", 1) == HASH
        assert fake.field("passwd", "kvweb", 2) == "1000"
        assert fake.field("passwd", "kvweb", 4) == "Anna Ünal"
        assert fake.field("passwd", "kvweb", 5) == "/home/kvweb"
        assert fake.field("group", "wheel", 3) == "kvweb"
        assert fake.field("group", "staff", 3) == "kvweb"
        keys = fake.path / "home/kvweb/.ssh/authorized_keys"
        assert keys.read_text() == f'{KEY}\nssh-rsa BBBB it\'s "two"\n'
        assert keys.stat().st_mode & 0o777 == 0o600
        assert keys.parent.stat().st_mode & 0o777 == 0o700
        assert (fake.path / "etc/shadow").stat().st_mode & 0o777 == 0o600

    def test_a_password_is_locked_unless_told_otherwise(self, fake: FakeRoot) -> None:
        fake.configure({"users": [{"name": "a", "passwd": HASH}, {"name": "b", "passwd": HASH, "lock_passwd": False}]})
        assert fake.field("shadow", "a", 1) == "!" + HASH
        assert fake.field("shadow", "b", 1) == HASH
        assert fake.field("passwd", "b", 2) == "1001"

    @pytest.mark.parametrize("password", ["secret", "  two spaces ", 'it\'s "q" \\ $HOME `x`', "pässwörd☃", "a:b#c"])
    def test_plain_passwords(self, fake: FakeRoot, applets: Path, password: str) -> None:
        fake.configure({"users": [{"name": "a", "plain_text_passwd": password, "lock_passwd": False}]})
        assert_password(fake, applets, "a", password)
        assert password not in fake.log

    def test_no_users_means_the_default_one(self, fake: FakeRoot, applets: Path) -> None:
        fake.configure({"password": "secret", "ssh_authorized_keys": [KEY], "chpasswd": {"expire": False}})
        assert_password(fake, applets, "kvweb", "secret")
        assert fake.read("home/kvweb/.ssh/authorized_keys") == KEY + "\n"
        assert fake.field("group", "wheel", 3) == "kvweb"

    def test_the_word_default(self, fake: FakeRoot) -> None:
        fake.configure({"users": ["default", {"name": "ben"}], "ssh_authorized_keys": [KEY]})
        assert fake.field("passwd", "kvweb", 2) == "1000"
        assert fake.field("passwd", "ben", 2) == "1001"
        assert KEY in fake.read("home/kvweb/.ssh/authorized_keys")

    def test_passwords_of_a_list(self, fake: FakeRoot, applets: Path) -> None:
        users = [{"name": "a"}, {"name": "b"}]
        fake.configure({"users": users, "chpasswd": {"list": f"a:one:two\nb:{HASH}\n"}})
        assert_password(fake, applets, "a", "one:two")
        assert fake.field("shadow", "b", 1) == HASH

    def test_passwords_of_named_users(self, fake: FakeRoot, applets: Path) -> None:
        pairs = [{"name": "a", "password": "p w", "type": "text"}, {"name": "root", "password": HASH}]
        fake.configure({"users": [{"name": "a"}], "chpasswd": {"expire": False, "users": pairs}})
        assert_password(fake, applets, "a", "p w")
        assert fake.field("shadow", "root", 1) == HASH

    @pytest.mark.parametrize("name", ["../x", "a:b", "a b", "", "A", "x\ny", "-rf"])
    def test_names_that_are_none(self, fake: FakeRoot, name: str) -> None:
        before = fake.read("etc/passwd")
        fake.configure({"users": [{"name": name, "passwd": HASH}]})
        assert fake.read("etc/passwd") == before

    def test_a_shell_that_is_not_there(self, fake: FakeRoot) -> None:
        fake.configure({"users": [{"name": "a", "shell": "/bin/bash"}]})
        assert fake.field("passwd", "a", 6) == "/bin/sh"
        assert "/bin/bash" in fake.log

    @pytest.mark.parametrize(
        ("document", "options"),
        [
            ({}, "-s -w"),
            ({"ssh_pwauth": True}, "-w"),
            ({"ssh_pwauth": False}, "-s -w"),
            ({"ssh_pwauth": True, "disable_root": False}, ""),
        ],
    )
    def test_ssh_options(self, fake: FakeRoot, document: dict[str, Any], options: str) -> None:
        fake.configure({"hostname": "x", **document})
        assert fake.read("etc/kvweb/ssh").split() == options.split()


class TestFiles:
    @pytest.mark.parametrize(
        "content",
        ["", "one", "one\n", "\n\n", "a\tb\\n%s\n", "it's \"q\"\n", "é☃😀\n", "  deep\n top\n", "x" * 5000,
         "a\r\nb\r\n", "\n".join(f"line {n}  " for n in range(200))],
    )  # fmt: skip
    def test_byte_for_byte(self, fake: FakeRoot, content: str) -> None:
        fake.configure({"write_files": [{"path": "/opt/a b/file", "content": content}]})
        assert (fake.path / "opt/a b/file").read_bytes() == content.encode()

    def test_encodings_and_permissions(self, fake: FakeRoot) -> None:
        data = bytes(range(256))
        encoded = base64.b64encode(data).decode()
        fake.configure(
            {
                "write_files": [
                    {"path": "/b64", "encoding": "b64", "content": encoded, "permissions": "0600"},
                    {"path": "/raw", "content": data, "owner": "nobody:nogroup", "permissions": "0755"},
                    {"path": "/more", "content": "a\n"},
                    {"path": "/more", "content": "b\n", "append": True},
                ]
            }
        )
        assert (fake.path / "b64").read_bytes() == data
        assert (fake.path / "b64").stat().st_mode & 0o7777 == 0o600
        assert (fake.path / "raw").read_bytes() == data
        assert (fake.path / "raw").stat().st_mode & 0o7777 == 0o755
        assert (fake.path / "more").read_text() == "a\nb\n"

    def test_a_user_of_the_seed_can_own_a_file(self, fake: FakeRoot) -> None:
        fake.configure({"users": [{"name": "a"}], "write_files": [{"path": "/f", "content": "x", "owner": "a:a"}]})
        assert "no owner" not in fake.log

    def test_mistakes_are_noted(self, fake: FakeRoot) -> None:
        files = [{"path": "relative", "content": "x"}, {"path": "/f", "content": "x", "owner": "nobody-here"}]
        fake.configure({"write_files": files})
        assert "absolute" in fake.log
        assert "nobody-here" in fake.log


class TestCommands:
    def test_strings_and_lists(self, fake: FakeRoot, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arguments = ["it's", "a  b", "", "é", "$HOME", "\\", "two\nlines"]
        fake.configure(
            {
                "runcmd": [
                    f"echo 'one two' > {out}",
                    ["sh", "-c", f"printf '%s|' \"$@\" >> {out}", "x", *arguments],
                    "false",
                    f"for n in 1 2; do\n  echo $n\ndone >> {out}\n",
                    None,
                ]
            }
        )
        script = fake.path / "var/lib/cloud/runcmd"
        subprocess.run(["busybox", "sh", str(script)], check=True, env={"PATH": fake.environment["PATH"]})
        assert out.read_text() == "one two\nit's|a  b||é|$HOME|\\|two\nlines|1\n2\n"

    def test_flow_lists(self, fake: FakeRoot) -> None:
        fake.apply("#cloud-config\nruncmd: [[ls, -l, '/a b'], echo x]\n")
        assert fake.read("var/lib/cloud/runcmd") == "'ls' '-l' '/a b'\necho x\n"

    def test_a_script_as_user_data(self, fake: FakeRoot) -> None:
        script = b"#!/bin/sh\necho \xff hello\n"
        fake.apply(script)
        assert (fake.path / "var/lib/cloud/user-script").read_bytes() == script
        assert fake.read("var/lib/cloud/runcmd") == "/var/lib/cloud/user-script\n"


class TestWhatIsNotKnown:
    def test_unknown_keys_are_noted(self, fake: FakeRoot) -> None:
        fake.configure({"hostname": "x", "snap": {"commands": ["a"]}, "users": [{"name": "a", "snapuser": "b"}]})
        assert "snap is not supported" in fake.log
        assert "snapuser is not supported" in fake.log
        assert fake.field("passwd", "a", 0) == "a"

    @pytest.mark.parametrize(
        ("text", "note"),
        [
            ('Content-Type: multipart/mixed; boundary="x"\n\n--x', "multi-part"),
            ("#include\nhttp://example.org\n", "neither"),
            ('#cloud-config\nhostname: "x\n', "could not be read and is ignored: line 3"),
        ],
    )
    def test_what_cannot_be_used_is_noted_and_the_rest_applies(self, fake: FakeRoot, text: str, note: str) -> None:
        fake.apply(text, "instance-id: i\nlocal-hostname: still\n")
        assert note in fake.log
        assert fake.read("etc/hostname") == "still\n"
        assert fake.field("shadow", "kvweb", 1) == "!"


class TestNetwork:
    @pytest.mark.parametrize("nested", [False, True])
    def test_static_address(self, fake: FakeRoot, nested: bool) -> None:
        config: dict[str, Any] = {
            "version": 2,
            "ethernets": {
                "lan": {
                    "match": {"macaddress": "52:54:00:AA:BB:CC"},
                    "set-name": "lan",
                    "dhcp4": False,
                    "addresses": ["10.1.2.3/24", "fd00::3/64"],
                    "routes": [{"to": "default", "via": "10.1.2.1"}, {"to": "10.9.0.0/16", "via": "10.1.2.9"}],
                    "nameservers": {"addresses": ["10.1.2.1", "9.9.9.9"], "search": ["example.org"]},
                },
                "eth1": {"dhcp4": True},
            },
        }
        fake.apply("", network=dump({"network": config} if nested else config))
        assert fake.read("etc/kvweb/net/lan").splitlines() == [
            "name lan",
            "mac 52:54:00:aa:bb:cc",
            "address 10.1.2.3/24",
            "address fd00::3/64",
            "gateway 10.1.2.1",
            "route 10.9.0.0/16 10.1.2.9",
            "dns 10.1.2.1",
            "dns 9.9.9.9",
            "search example.org",
        ]
        assert fake.read("etc/kvweb/net/eth1").splitlines() == ["name eth1", "dhcp4 yes"]

    def test_version_one_is_noted(self, fake: FakeRoot) -> None:
        fake.apply("", network=dump({"version": 1, "config": [{"type": "physical", "name": "eth0"}]}))
        assert "version 1 is not supported" in fake.log
