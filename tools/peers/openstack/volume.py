"""Cinder: volumes in their states, types, limits."""

from __future__ import annotations

from tools.peers.openstack.state import Cloud, Json, nova, now


def create(cloud: Cloud, wish: Json) -> Json:
    used = len(cloud.of("volumes"))
    refusal = nova(413, f"VolumeLimitExceeded: Maximum number of volumes allowed ({used}) exceeded.")
    cloud.check_quota("volumes", used, refusal)
    image = wish.get("imageRef")
    source = wish.get("source_volid")
    if image and image not in cloud.of("images"):
        raise nova(400, f"Invalid image identifier or unable to access requested image: {image} could not be found.")
    if source and source not in cloud.of("volumes"):
        raise nova(404, f"Volume {source} could not be found.")
    if wish.get("volume_type") and wish["volume_type"] not in {each["name"] for each in cloud.of("types").values()}:
        raise nova(404, f"Volume type with name {wish['volume_type']} could not be found.")
    origin = cloud.of("volumes")[source] if source else {}
    made = cloud.new(
        "volumes",
        {
            "name": wish.get("name"),
            "size": wish["size"],
            "status": "downloading" if image else "creating",
            "bootable": "true" if image else origin.get("bootable", "false"),
            "volume_type": wish.get("volume_type") or "__DEFAULT__",
            "multiattach": False,
            "availability_zone": "nova",
            "attachments": [],
            "metadata": wish.get("metadata", {}),
            "created_at": now(zulu=False),
            **({"volume_image_metadata": {"image_id": image}} if image else {}),
        },
    )
    cloud.later(made, lambda: made.update(status="available"))
    return made


def one(cloud: Cloud, volume_id: str) -> Json:
    found = cloud.of("volumes").get(volume_id)
    if found is None:
        raise nova(404, f"Volume {volume_id} could not be found.")
    return found


def delete(cloud: Cloud, volume_id: str) -> None:
    volume = one(cloud, volume_id)
    if volume["status"] not in ("available", "error"):
        raise nova(400, f"Invalid volume: Volume status must be available or error, not {volume['status']}.")
    volume["status"] = "deleting"
    cloud.later(volume, lambda: cloud.kinds["volumes"].pop(volume_id, None))


def act(cloud: Cloud, volume_id: str, body: Json) -> Json:
    volume = one(cloud, volume_id)
    action, wish = next(iter(body.items()))
    if action == "os-extend":
        if wish["new_size"] <= volume["size"]:
            raise nova(400, "Invalid input received: New size for extend must be greater than current size.")
        before = volume["status"]
        volume["status"] = "extending"
        cloud.later(volume, lambda: volume.update(size=wish["new_size"], status=before))
    elif action == "os-set_bootable":
        volume["bootable"] = "true" if wish["bootable"] else "false"
    elif action == "os-volume_upload_image":
        if volume["status"] != "available":
            raise nova(400, "Invalid volume: Volume status must be available/in-use.")
        image = cloud.new(
            "images",
            {
                "name": wish["image_name"],
                "status": "queued",
                "disk_format": wish["disk_format"],
                "container_format": "bare",
                "visibility": "private",
                "min_disk": 0,
                "size": 1024,
                "virtual_size": volume["size"] * 1024**3,
                "created_at": now(),
            },
        )
        volume["status"] = "uploading"
        cloud.later(volume, lambda: volume.update(status="available"))
        cloud.later(image, lambda: image.update(status="active"))
        return {"os-volume_upload_image": {"id": volume_id, "image_id": image["id"], "status": "uploading"}}
    else:
        raise nova(400, f"There is no such action: {action}")
    return {}


def attached(cloud: Cloud, volume_id: str, server_id: str, device: str) -> None:
    volume = one(cloud, volume_id)
    volume["attachments"].append({"server_id": server_id, "volume_id": volume_id, "device": device})
    volume["status"] = "attaching"
    cloud.later(volume, lambda: volume.update(status="in-use"))


def released(cloud: Cloud, volume_id: str, server_id: str) -> None:
    volume = cloud.kinds.get("volumes", {}).get(volume_id)
    if volume is None:
        return
    volume["attachments"] = [each for each in volume["attachments"] if each["server_id"] != server_id]
    volume["status"] = "in-use" if volume["attachments"] else "available"


def device_of(cloud: Cloud, volume_id: str, server_id: str) -> str:
    found = cloud.kinds.get("volumes", {}).get(volume_id, {}).get("attachments", [])
    return next((each["device"] for each in found if each["server_id"] == server_id), "")


def limits(cloud: Cloud) -> Json:
    volumes = cloud.of("volumes").values()
    return {
        "totalVolumesUsed": len(volumes),
        "totalGigabytesUsed": sum(each["size"] for each in volumes),
        "maxTotalVolumes": cloud.quota["volumes"],
        "maxTotalVolumeGigabytes": 100_000,
    }
