"""The NoCloud seed: a small ISO image with cloud-init's texts (docs.cloud-init.io, datasource NoCloud)."""

from __future__ import annotations

import io

import pycdlib

from providers.guest.cloudinit import SeedTexts

#: By this volume id cloud-init finds the seed among all drives.
VOLUME_ID = "cidata"


def seed_iso(texts: SeedTexts) -> bytes:
    """The image, about 400 KiB. Names are kept in Rock Ridge and Joliet: the plain ISO names have no small letters."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=VOLUME_ID, joliet=3, rock_ridge="1.09")
    files = {"user-data": texts.user_data, "meta-data": texts.meta_data}
    if texts.network_config:
        files["network-config"] = texts.network_config
    try:
        for number, (name, text) in enumerate(files.items()):
            content = text.encode()
            iso.add_fp(io.BytesIO(content), len(content), f"/SEED{number}.;1", rr_name=name, joliet_path=f"/{name}")
        image = io.BytesIO()
        iso.write_fp(image)
    finally:
        iso.close()
    return image.getvalue()


def read_seed(content: bytes) -> SeedTexts | None:
    """The texts of a seed, whoever made it; None for an image that is none."""
    iso = pycdlib.PyCdlib()
    try:
        iso.open_fp(io.BytesIO(content))
    except pycdlib.pycdlibexception.PyCdlibException:
        return None
    try:
        volume_id = iso.pvd.volume_identifier.decode("ascii", "replace").strip().lower()
        if volume_id != VOLUME_ID:
            return None
        texts = {name: _text(iso, name) for name in ("user-data", "meta-data", "network-config")}
    finally:
        iso.close()
    return SeedTexts(user_data=texts["user-data"], meta_data=texts["meta-data"], network_config=texts["network-config"])


def _text(iso: pycdlib.PyCdlib, name: str) -> str:
    """One file by its long name, wherever that is kept; empty when there is none."""
    names = ({"joliet_path": f"/{name}"} if iso.has_joliet() else {}) or (
        {"rr_path": f"/{name}"} if iso.has_rock_ridge() else {"iso_path": f"/{name.upper()}.;1"}
    )
    found = io.BytesIO()
    try:
        iso.get_file_from_iso_fp(found, **names)
    except pycdlib.pycdlibexception.PyCdlibException:
        return ""
    return found.getvalue().decode(errors="replace")
