"""The settings of the real services: one table for each file, as their own documentation names them."""

from __future__ import annotations

import configparser
import shutil
from collections.abc import Mapping
from pathlib import Path

Sections = Mapping[str, Mapping[str, object]]

PASSWORD = "pw"  # noqa: S105 - of services on loopback that live as long as their tests
DATABASE_PORT, QUEUE_PORT = 3307, 5673
#: Service → port of its API.
PORTS = {"keystone": 5000, "placement": 8778, "glance": 9292, "nova": 8774, "neutron": 9696, "cinder": 8776}
DATABASES = ("keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron", "cinder")
QUEUE = f"rabbit://os:os@127.0.0.1:{QUEUE_PORT}/"
KEYSTONE = f"http://127.0.0.1:{PORTS['keystone']}/v3"


def database(name: str) -> str:
    user = name.partition("_")[0]
    return f"mysql+pymysql://{user}:{PASSWORD}@127.0.0.1:{DATABASE_PORT}/{name}?charset=utf8mb3"


def _signs_in(user: str) -> dict[str, object]:
    return {
        "auth_type": "password",
        "auth_url": KEYSTONE,
        "username": user,
        "password": PASSWORD,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": "RegionOne",
    }


def _checks_tokens(user: str) -> dict[str, object]:
    return {
        **_signs_in(user),
        "www_authenticate_uri": KEYSTONE,
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }


def files(home: Path) -> dict[str, Sections]:
    """Path under the folder of settings → its content."""
    venv, data, log, etc = home / "venv", home / "data", home / "log", home / "etc"
    locks = {"lock_path": data / "lock"}
    return {
        "keystone/keystone.conf": {
            "DEFAULT": {"log_file": log / "keystone.log"},
            "database": {"connection": database("keystone")},
            "fernet_tokens": {"key_repository": etc / "keystone/fernet-keys"},
            "credential": {"key_repository": etc / "keystone/credential-keys"},
            "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
            "identity": {"password_hash_rounds": 4},
        },
        "glance/glance-api.conf": {
            "DEFAULT": {
                "enabled_backends": "fs:file",
                "log_file": log / "glance.log",
                "node_staging_uri": f"file://{data}/staging",
            },
            "database": {"connection": database("glance")},
            "glance_store": {"default_backend": "fs"},
            "fs": {"filesystem_store_datadir": data / "images"},
            "os_glance_staging_store": {"filesystem_store_datadir": data / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": data / "tasks"},
            "paste_deploy": {"flavor": "keystone", "config_file": venv / "etc/glance/glance-api-paste.ini"},
            "keystone_authtoken": _checks_tokens("glance"),
            "oslo_concurrency": locks,
        },
        "placement/placement.conf": {
            "DEFAULT": {"log_file": log / "placement.log"},
            "api": {"auth_strategy": "keystone"},
            "placement_database": {"connection": database("placement")},
            "keystone_authtoken": _checks_tokens("placement"),
        },
        "nova/nova.conf": {
            "DEFAULT": {
                "log_dir": log,
                # Boots nothing and says that it did: what is tested is the way there.
                "compute_driver": "fake.FakeDriverWithoutFakeNodes",
                "transport_url": QUEUE,
                "state_path": data / "nova",
                "my_ip": "127.0.0.1",
                "host": "os1",
                "osapi_compute_workers": 1,
                "enabled_apis": "osapi_compute",
                "vif_plugging_timeout": 60,
                "allow_resize_to_same_host": True,
            },
            "api_database": {"connection": database("nova_api")},
            "database": {"connection": database("nova")},
            "keystone_authtoken": _checks_tokens("nova"),
            "service_user": {"send_service_user_token": True, **_signs_in("nova")},
            "placement": _signs_in("placement"),
            "neutron": _signs_in("neutron"),
            "cinder": {**_signs_in("cinder"), "os_region_name": "RegionOne"},
            "glance": _signs_in("glance"),
            "wsgi": {"api_paste_config": venv / "etc/nova/api-paste.ini"},
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 5},
            "filter_scheduler": {"track_instance_changes": False},
            "oslo_concurrency": locks,
            "vnc": {
                "enabled": True,
                "server_listen": "127.0.0.1",
                "server_proxyclient_address": "127.0.0.1",
                "novncproxy_base_url": "http://127.0.0.1:6080/vnc_auto.html",
            },
            "serial_console": {"enabled": True, "base_url": "ws://127.0.0.1:6083/"},
        },
        "neutron/neutron.conf": {
            "DEFAULT": {
                "log_file": log / "neutron.log",
                "core_plugin": "ml2",
                "service_plugins": "ovn-router,segments",
                "auth_strategy": "keystone",
                "api_paste_config": venv / "etc/neutron/api-paste.ini",
                "transport_url": QUEUE,
                "state_path": data / "neutron",
                "api_workers": 1,
                "rpc_workers": 0,
                "host": "os1",
            },
            "database": {"connection": database("neutron")},
            "keystone_authtoken": _checks_tokens("neutron"),
            "nova": _signs_in("nova"),
            "placement": _signs_in("placement"),
            "oslo_concurrency": locks,
        },
        "neutron/plugins/ml2/ml2_conf.ini": {
            "ml2": {
                "mechanism_drivers": "ovn",
                "type_drivers": "local,flat,geneve",
                "tenant_network_types": "geneve",
                "extension_drivers": "port_security",
                "overlay_ip_version": 4,
            },
            "ml2_type_flat": {"flat_networks": "public"},
            "ml2_type_geneve": {"vni_ranges": "1:1000", "max_header_size": 38},
            "securitygroup": {"enable_security_group": True},
            "ovn": {
                "ovn_nb_connection": "unix:/var/run/ovn/ovnnb_db.sock",
                "ovn_sb_connection": "unix:/var/run/ovn/ovnsb_db.sock",
                "ovn_metadata_enabled": False,
            },
            "ovs": {"ovsdb_connection": "unix:/var/run/openvswitch/db.sock"},
        },
        "cinder/cinder.conf": {
            "DEFAULT": {
                "log_dir": log,
                "transport_url": QUEUE,
                "my_ip": "127.0.0.1",
                "host": "os1",
                "state_path": data / "cinder",
                "api_paste_config": venv / "etc/cinder/api-paste.ini",
                "resource_query_filters_file": venv / "etc/cinder/resource_filters.json",
                "rootwrap_config": etc / "cinder/rootwrap.conf",
                "auth_strategy": "keystone",
                "enabled_backends": "nfs1",
                "default_volume_type": "__DEFAULT__",
                "glance_api_servers": f"http://127.0.0.1:{PORTS['glance']}",
            },
            "nfs1": {
                "volume_backend_name": "nfs1",
                "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
                "nfs_shares_config": etc / "cinder/shares",
                "nfs_mount_point_base": data / "cinder/mnt",
                "nfs_snapshot_support": True,
                "nas_secure_file_operations": False,
                "nas_secure_file_permissions": False,
            },
            "database": {"connection": database("cinder")},
            "keystone_authtoken": _checks_tokens("cinder"),
            "service_user": {"send_service_user_token": True, **_signs_in("cinder")},
            "nova": _signs_in("nova"),
            "oslo_concurrency": locks,
        },
    }


def write(home: Path) -> None:
    for path, sections in files(home).items():
        document = configparser.RawConfigParser(default_section="")
        document.optionxform = str  # type: ignore[assignment,method-assign]
        for section, values in sections.items():
            document[section] = {key: str(value) for key, value in values.items()}
        target = home / "etc" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as file:
            document.write(file)
    # Nova's API looks beside its settings, whatever they say.
    shutil.copy(home / "venv/etc/nova/api-paste.ini", home / "etc/nova")
    rootwrap = configparser.RawConfigParser(default_section="")
    rootwrap.read(home / "venv/etc/cinder/rootwrap.conf")
    filters = f"{home}/venv/etc/cinder/rootwrap.d,{home}/venv/etc/os-brick/rootwrap.d"
    rootwrap.set("DEFAULT", "filters_path", filters)
    rootwrap.set("DEFAULT", "exec_dirs", f"{home}/venv/bin,{home}/bin,/sbin,/usr/sbin,/bin,/usr/bin")
    with (home / "etc/cinder/rootwrap.conf").open("w") as file:
        rootwrap.write(file)
    (home / "etc/cinder/shares").write_text(f"127.0.0.1:{home}/data/share\n")
