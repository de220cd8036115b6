"""The real OpenStack services on this machine, for live tests: `python -m tools.peers.openstack.real up|down|wipe`.

Keystone, Glance, Placement, Nova with its fake hypervisor, Neutron with OVN, Cinder with files; everything listens on
loopback and lives under KVWEB_OPENSTACK_HOME (default /var/cache/kvweb/openstack), outside the repository. The first
start installs the services from PyPI (a few minutes) and makes their databases (about three); later ones take one.

Needs root, and of Debian: mariadb-server rabbitmq-server ovn-central ovn-host openvswitch-switch ethtool iproute2.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tools.peers.openstack import content, real_config
from tools.peers.openstack.real_config import DATABASES, PASSWORD, PORTS, QUEUE_PORT, database
from tools.terminal import say

HOME = Path(os.environ.get("KVWEB_OPENSTACK_HOME", "/var/cache/kvweb/openstack"))
VENV, DATA, LOG, RUN, BIN, ETC = (HOME / name for name in ("venv", "data", "log", "run", "bin", "etc"))
#: As they were when this was written; they fit each other (release 2026.2).
PACKAGES = (
    "keystone==30.*",
    "glance==33.*",
    "openstack-placement",
    "nova==34.*",
    "neutron==29.*",
    "cinder==29.*",
    "uwsgi",
    "pymysql",
    "openstacksdk",
    "setuptools<81",
)
PROGRAMS = ("mariadbd", "rabbitmq-server", "ovs-vswitchd", "ovn-northd", "ovn-controller", "ethtool", "ip")
OVS, OVN = Path("/var/run/openvswitch"), Path("/var/run/ovn")
SOCKET = DATA / "mysql/m.sock"
PATIENCE_S = 300.0
#: What must end last: the others write to it while they end.
_FOUNDATIONS = ("mariadb", "rabbit", "ovsdb", "ovn-nb", "ovn-sb", "vswitchd", "northd", "ovn-controller")


def main(words: list[str]) -> int:
    match words:
        case ["up"]:
            up()
        case ["down"]:
            down()
        case ["wipe"]:
            down()
            for folder in (DATA, LOG, RUN, ETC):
                shutil.rmtree(folder, ignore_errors=True)
        case _:
            print(__doc__)
            return 2
    return 0


def up() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        raise SystemExit(f"These programs are missing: {', '.join(missing)}; the packages are named in this file.")
    if any(_is_alive(file) for file in RUN.glob("*.pid")):
        raise SystemExit("It runs already, or was not ended; `down` ends it.")
    for folder in (DATA / "lock", DATA / "share", DATA / "images", DATA / "nova/instances", LOG, RUN, BIN, OVS, OVN):
        folder.mkdir(parents=True, exist_ok=True)
    install()
    real_config.write(HOME)
    _stand_ins()
    _foundations()
    _databases()
    _services()
    ids = content.fill()
    say("openstack", f"ready at {real_config.KEYSTONE}, user demo, password {PASSWORD}, project demo; {ids}")


def down() -> None:
    """Ends what `up` started and nothing else: each pid file names the leader of a session of its own."""
    files = sorted(RUN.glob("*.pid"), key=lambda file: file.stem in _FOUNDATIONS)
    for group in (
        [file for file in files if file.stem not in _FOUNDATIONS],
        [file for file in files if file.stem in _FOUNDATIONS],
    ):
        for number in (signal.SIGTERM, signal.SIGKILL):
            for file in group:
                with suppress(ProcessLookupError, ValueError):
                    os.killpg(int(file.read_text()), number)
            end = time.monotonic() + 10
            while time.monotonic() < end and any(_is_alive(file) for file in group):
                time.sleep(0.2)
        for file in group:
            file.unlink(missing_ok=True)
    for mounted in [*DATA.glob("cinder/mnt/*"), DATA / "share"]:
        while mounted.is_mount() and _quietly("umount", str(mounted)):
            pass


def install() -> None:
    if (VENV / "bin/nova-compute").exists():
        return
    say("openstack", f"installing the services into {VENV}")
    _run(sys.executable, "-m", "venv", str(VENV))
    uv = Path(sys.executable).parent / "uv"
    _run(str(uv), "--quiet", "pip", "install", "--python", str(VENV / "bin/python"), *PACKAGES, patience_s=1800)


def _stand_ins() -> None:
    """Programs that the services call and that would do harm or nothing here, as shell scripts of three lines.

    There is no NFS in many kernels: mounting a share becomes a bind mount of a folder with a file system of its own.
    """
    scripts = {
        "sudo": 'while [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n',
        "mount.nfs": "exit 0\n",
        "mount": 'if [ "$1" = -t ] && [ "$2" = nfs ]; then shift 2; while [ $# -gt 2 ]; do shift; done\n'
        'exec /bin/mount --bind "${1#127.0.0.1:}" "$2"; fi\nexec /bin/mount "$@"\n',
    }
    for name, text in scripts.items():
        (BIN / name).write_text(f"#!/bin/sh\n{text}")
        (BIN / name).chmod(0o755)
    if not (DATA / "share").is_mount():
        _run("mount", "-t", "tmpfs", "-o", "size=6g", "kvweb-share", str(DATA / "share"))


# -- what the services stand on ----------------------------------------------------------------------------------------


def _foundations() -> None:
    mysql = DATA / "mysql"
    if not mysql.exists():
        mysql.mkdir()
        shutil.chown(mysql, "mysql")
        place = ("--user=mysql", f"--datadir={mysql}")
        _run("mariadb-install-db", "--no-defaults", *place, "--auth-root-authentication-method=normal")
    _start(
        "mariadb",
        *("mariadbd", "--no-defaults", "--user=mysql", f"--datadir={mysql}", f"--socket={SOCKET}"),
        *("--bind-address=127.0.0.1", f"--port={real_config.DATABASE_PORT}", "--max-connections=500"),
        *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--skip-log-bin"),
    )
    (ETC / "rabbitmq.conf").write_text(
        f"listeners.tcp.local = 127.0.0.1:{QUEUE_PORT}\ndefault_user = os\ndefault_pass = os\n"
    )
    (DATA / "rabbit").mkdir(exist_ok=True)
    _start(
        "rabbit",
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        ERL_EPMD_ADDRESS="127.0.0.1",
        RABBITMQ_NODENAME="kvwebos@localhost",
        RABBITMQ_CONFIG_FILE=str(ETC / "rabbitmq.conf"),
        RABBITMQ_MNESIA_BASE=str(DATA / "rabbit"),
        RABBITMQ_LOG_BASE=str(LOG),
        RABBITMQ_PID_FILE=str(RUN / "rabbit.erl"),
        RABBITMQ_ENABLED_PLUGINS_FILE=str(ETC / "enabled_plugins"),
        RABBITMQ_DIST_PORT="25673",
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
        HOME=str(DATA / "rabbit"),
    )
    _switch()
    client = ("mariadb", "--no-defaults", "-uroot", "-S", str(SOCKET), "-e")
    _wait("the database", lambda: _quietly(*client, "select 1"))
    for name in DATABASES:
        user = name.partition("_")[0]
        _run(*client, f"create database if not exists {name} character set utf8mb3")
        for host in ("127.0.0.1", "localhost"):
            _run(*client, f"grant all on {name}.* to '{user}'@'{host}' identified by '{PASSWORD}'")


def _switch() -> None:
    """Open vSwitch without the kernel's part, and OVN above it."""
    for name, schema, socket in (
        ("ovsdb", "/usr/share/openvswitch/vswitch.ovsschema", OVS / "db.sock"),
        ("ovn-nb", "/usr/share/ovn/ovn-nb.ovsschema", OVN / "ovnnb_db.sock"),
        ("ovn-sb", "/usr/share/ovn/ovn-sb.ovsschema", OVN / "ovnsb_db.sock"),
    ):
        file = DATA / f"{name}.db"
        if not file.exists():
            _run("ovsdb-tool", "create", str(file), schema)
        _start(name, "ovsdb-server", str(file), f"--remote=punix:{socket}", f"--unixctl={RUN / name}.ctl")
        _wait(name, socket.exists)
    north, south = f"unix:{OVN}/ovnnb_db.sock", f"unix:{OVN}/ovnsb_db.sock"
    _run("ovs-vsctl", "--no-wait", "init")
    ids = {
        "ovn-remote": south,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-bridge-datapath-type": "netdev",
        "hostname": "os1",
        "system-id": "os1",
        "ovn-bridge-mappings": "public:br-ex",
        "ovn-cms-options": "enable-chassis-as-gw",
    }
    _run("ovs-vsctl", "--no-wait", "set", "open", ".", *(f'external_ids:{key}="{value}"' for key, value in ids.items()))
    pid_file = f"--pidfile={OVS}/ovs-vswitchd.pid"
    _start("vswitchd", "ovs-vswitchd", f"unix:{OVS}/db.sock", pid_file, f"--unixctl={RUN}/vswitchd.ctl")
    _run("ovn-nbctl", f"--db={north}", "init")
    _run("ovn-sbctl", f"--db={south}", "init")
    _start("northd", "ovn-northd", f"--ovnnb-db={north}", f"--ovnsb-db={south}", f"--unixctl={RUN}/northd.ctl")
    _start("ovn-controller", "ovn-controller", f"unix:{OVS}/db.sock")
    _run("ovs-vsctl", "--may-exist", "add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev")


# -- the services ------------------------------------------------------------------------------------------------------


def _databases() -> None:
    if (DATA / "made").exists():
        return
    say("openstack", "making the databases")
    for folder in ("fernet-keys", "credential-keys"):
        (ETC / "keystone" / folder).mkdir(exist_ok=True)
    keystone = ("keystone-manage", "--config-dir", f"{ETC}/keystone")
    nova = ("nova-manage", "--config-dir", f"{ETC}/nova")
    owner = ("--keystone-user", "root", "--keystone-group", "root")
    urls = [
        word for each in ("admin", "internal", "public") for word in (f"--bootstrap-{each}-url", real_config.KEYSTONE)
    ]
    neutron = [word for path in _neutron_files() for word in ("--config-file", path)]
    for command in (
        (*keystone, "db_sync"),
        (*keystone, "fernet_setup", *owner),
        (*keystone, "credential_setup", *owner),
        (*keystone, "bootstrap", "--bootstrap-password", PASSWORD, *urls, "--bootstrap-region-id", "RegionOne"),
        ("glance-manage", "--config-dir", f"{ETC}/glance", "db_sync"),
        ("placement-manage", "--config-dir", f"{ETC}/placement", "db", "sync"),
        ("neutron-db-manage", *neutron, "upgrade", "heads"),
        (*nova, "api_db", "sync"),
        (*nova, "cell_v2", "map_cell0", "--database_connection", database("nova_cell0")),
        (*nova, "db", "sync"),
        (*nova, "cell_v2", "create_cell", "--name", "cell1"),
        ("cinder-manage", "--config-dir", f"{ETC}/cinder", "db", "sync"),
    ):
        _run(*command, patience_s=600)
    (DATA / "made").touch()


def _services() -> None:
    modules = {
        "keystone": "keystone.wsgi.api",
        "placement": "placement.wsgi.api",
        "glance": "glance.wsgi.api",
        "nova": "nova.wsgi.osapi_compute",
        "neutron": "neutron.wsgi.api",
        "cinder": "cinder.wsgi.api",
    }
    for name, module in modules.items():
        more = ("--pyargv", f"--config-file {ETC}/cinder/cinder.conf") if name == "cinder" else ()
        _start(
            f"{name}-api",
            *("uwsgi", "--http-socket", f"127.0.0.1:{PORTS[name]}", "--master", "--die-on-term", "--processes", "1"),
            *("--threads", "8", "--enable-threads", "--lazy-apps", "--need-app", "--buffer-size", "65535"),
            *("--disable-logging", "--add-header", "Connection: close", "--post-buffering", "65535", *more),
            *("--module", f"{module}:application"),
        )
    _wait("Keystone", lambda: _quietly("curl", "-sf", "-o", "/dev/null", real_config.KEYSTONE))
    content.introduce()
    nova = ("--config-file", f"{ETC}/nova/nova.conf")
    neutron = [word for path in _neutron_files() for word in ("--config-file", path)]
    for name in ("nova-conductor", "nova-scheduler", "nova-compute", "nova-serialproxy"):
        _start(name, name, *nova)
    for name in ("neutron-periodic-workers", "neutron-ovn-maintenance-worker"):
        _start(name, name, *neutron)
    for name in ("cinder-scheduler", "cinder-volume"):
        _start(name, name, "--config-file", f"{ETC}/cinder/cinder.conf")
    _wait("the services", content.is_ready)


def _neutron_files() -> Sequence[str]:
    return (f"{ETC}/neutron/neutron.conf", f"{ETC}/neutron/plugins/ml2/ml2_conf.ini")


# -- running things ----------------------------------------------------------------------------------------------------


def _path() -> str:
    return f"{BIN}:{VENV}/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _variables(**more: str) -> dict[str, str]:
    folders = {f"OS_{name.upper()}_CONFIG_DIR": str(ETC / name) for name in PORTS}
    return {**os.environ, **folders, "PATH": _path(), **more}


def _start(name: str, *command: str, **variables: str) -> None:
    with (LOG / f"{name}.out").open("ab") as log:
        process = subprocess.Popen(
            command,
            env=_variables(**variables),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=HOME,
        )
    (RUN / f"{name}.pid").write_text(str(process.pid))


def _run(*command: str, patience_s: float = PATIENCE_S) -> None:
    done = subprocess.run(
        command,
        env=_variables(),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience_s,
    )
    # A cell that an earlier start has made, which was broken off afterwards, is as good as a new one.
    if done.returncode and "combination already exists" not in done.stdout:
        raise SystemExit(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-2000:]}")


def _quietly(*command: str) -> bool:
    done = subprocess.run(command, env=_variables(), check=False, capture_output=True, timeout=30)
    return done.returncode == 0


def _wait(what: str, look: Callable[[], object]) -> None:
    end, why = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < end:
        try:
            if look():
                return
        except Exception as exc:
            why = str(exc)
        time.sleep(0.5)
    raise SystemExit(f"{what}: not ready within {PATIENCE_S:g} s; see {LOG}. {why}")


def _is_alive(file: Path) -> bool:
    try:
        os.killpg(int(file.read_text()), 0)
    except (OSError, ValueError):
        return False
    # A leader that has ended and was not looked after is no life.
    stat = Path(f"/proc/{file.read_text().strip()}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
