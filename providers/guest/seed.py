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
