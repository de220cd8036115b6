"""Calls that moto does not have: serial consoles, pictures of screens, imports of disks, prices.

They do what AWS documents as far as the driver can tell: keys are good for a minute, a disk's content is looked at, an
import takes its time and says how far it is. The disks that come of it are as empty as all disks of moto.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response
from moto.ec2instanceconnect.responses import Ec2InstanceConnectResponse

from tools.peers.aws import stricter

KEY_S = 60.0
#: A small grey picture, as JPEG.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8"
    "ybqmx5moq6T/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AFf/Z"
)
#: Some sizes of the older hypervisors.
_BEFORE_NITRO = ("t2.", "m4.", "c4.", "r4.")
BOOT = "[    0.000000] Linux version 6.1.0\r\nlogin: "
#: What tests may change: whether the account allows serial consoles, what serial lines said, where pushed keys are put,
#: how imports end.
told: dict[str, Any] = {"serial": True, "output": BOOT, "keys": "", "import_error": "", "import_s": 0.0}
_tasks: dict[str, dict[str, Any]] = {}
_lock = threading.Lock()


def tell(changes: Mapping[str, Any]) -> dict[str, Any]:
    told.update(changes)
    return {"tasks": len(_tasks)}


# -- serial consoles ---------------------------------------------------------------------------------------------------


def get_serial_console_access_status(self: Any) -> ActionResult:
    self.error_on_dryrun()
    return ActionResult({"SerialConsoleAccessEnabled": bool(told["serial"])})


def get_console_screenshot(self: Any) -> ActionResult:
    self.error_on_dryrun()
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    if instance.state != "running":
        stricter.refuse("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'running' state.")
    return ActionResult({"InstanceId": instance.id, "ImageData": base64.b64encode(JPEG).decode()})


def get_console_output(self: Any) -> ActionResult:
    """moto's own knows neither dry runs nor that only Nitro tells what is said at this moment."""
    self.error_on_dryrun()
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    if str(self._get_param("Latest")).lower() == "true" and instance.instance_type.startswith(_BEFORE_NITRO):
        stricter.refuse("UnsupportedOperation", "This instance type does not support retrieving the latest output.")
    return ActionResult({"InstanceId": instance.id, "Output": base64.b64encode(told["output"].encode()).decode()})


def send_serial_console_ssh_public_key(self: Any) -> str:
    """The key lets in who signs in as “<instance>.port0” within a minute."""
    from moto.ec2.models import ec2_backends

    if not told["serial"]:
        raise JsonRESTError("SerialConsoleAccessDisabledException", "Your account is not authorized.")
    given = json.loads(self.body)
    backend = ec2_backends[self.current_account][self.region]
    try:
        instance = backend.get_instance(given["InstanceId"])
    except Exception as exc:
        raise JsonRESTError("EC2InstanceNotFoundException", "Instance not found") from exc
    if instance.state != "running":
        raise JsonRESTError("EC2InstanceStateInvalidException", "The instance is not running")
    load_ssh_public_key(given["SSHPublicKey"].encode())
    if told["keys"]:
        path = Path(told["keys"], f"{instance.id}.port{given.get('SerialPort', 0)}")
        path.write_text(f"{given['SSHPublicKey']}\n")
        forget = threading.Timer(KEY_S, path.unlink, kwargs={"missing_ok": True})
        forget.daemon = True
        forget.start()
    return json.dumps({"RequestId": "kvweb-peer", "Success": True})


# -- imports -----------------------------------------------------------------------------------------------------------


def import_snapshot(self: Any) -> ActionResult:
    self.error_on_dryrun()
    container = self._get_param("DiskContainer", {})
    where = container.get("UserBucket", {})
    if container.get("Format") not in ("RAW", "VMDK", "VHD"):
        stricter.refuse("InvalidParameter", f"The format '{container.get('Format')}' is not supported.")
    size = len(_content(self, where["S3Bucket"], where["S3Key"]))
    with _lock:
        task_id = f"import-snap-{len(_tasks):017x}"
        _tasks[task_id] = {
            "began": time.monotonic(),
            "size": size,
            "format": container["Format"],
            "where": where,
            "description": self._get_param("Description", ""),
            "snapshot": "",
            "status": "active",
        }
    return ActionResult({"ImportTaskId": task_id, "SnapshotTaskDetail": _detail(self, _tasks[task_id])})


def describe_import_snapshot_tasks(self: Any) -> ActionResult:
    self.error_on_dryrun()
    wanted = self._get_param("ImportTaskIds", []) or list(_tasks)
    found = [
        {"ImportTaskId": name, "SnapshotTaskDetail": _detail(self, _tasks[name])} for name in wanted if name in _tasks
    ]
    return ActionResult({"ImportSnapshotTasks": found})


def cancel_import_task(self: Any) -> ActionResult:
    self.error_on_dryrun()
    task = _tasks[self._get_param("ImportTaskId")]
    if task["snapshot"]:
        stricter.refuse("InvalidConversionTaskId", "The task has come to its end.")
    task["status"] = "deleted"
    return ActionResult({"ImportTaskId": self._get_param("ImportTaskId"), "State": "deleted"})


def register_image(self: Any) -> ActionResult:
    """moto's own takes name and description only."""
    self.error_on_dryrun()
    name, backend = self._get_param("Name"), self.ec2_backend
    if any(ami.name == name and ami.owner_id == backend.account_id for ami in backend.amis.values()):
        stricter.refuse("InvalidAMIName.Duplicate", f"AMI name {name} is already in use")
    (mapping,) = self._get_param("BlockDeviceMappings", [])
    snapshot = backend.get_snapshot(mapping["Ebs"]["SnapshotId"])
    made = backend.register_image(name, self._get_param("Description"))
    backend.snapshots.pop(made.ebs_snapshot.id)
    snapshot.from_ami = made.id
    made.ebs_snapshot = snapshot
    made.root_device_name, made.root_device_type = self._get_param("RootDeviceName"), "ebs"
    made.architecture, made.virtualization_type = self._get_param("Architecture"), "hvm"
    for one in self._get_param("TagSpecifications", []):
        made.add_tags({tag["Key"]: tag["Value"] for tag in one["Tags"]})
    return ActionResult({"ImageId": made.id})


def _content(self: Any, bucket: str, key: str) -> bytes:
    from moto.s3.models import s3_backends

    found: Any = s3_backends[self.current_account]["aws"].get_object(bucket, key)
    if found is None:
        stricter.refuse("InvalidParameter", "The given S3 object does not exist or cannot be read.")
    return bytes(found.value)


def _detail(self: Any, task: dict[str, Any]) -> dict[str, Any]:
    took, lasts = time.monotonic() - task["began"], float(told["import_s"])
    if task["status"] == "active" and took >= lasts:
        if told["import_error"]:
            task["status"] = "deleted"
        else:
            backend = self.ec2_backend
            volume = backend.create_volume(size=-(-max(task["size"], 1) // 1024**3), zone_name=f"{self.region}a")
            snapshot = backend.create_snapshot(volume.id, task["description"])
            backend.delete_volume(volume.id)
            task["status"], task["snapshot"] = "completed", snapshot.id
    return {
        "Status": task["status"],
        "StatusMessage": told["import_error"] if task["status"] == "deleted" else "",
        "Progress": str(min(99, int(100 * took / lasts))) if task["status"] == "active" and lasts else "",
        "SnapshotId": task["snapshot"] or None,
        "Format": task["format"],
        "DiskImageSize": float(task["size"]),
        "UserBucket": {"S3Bucket": task["where"]["S3Bucket"], "S3Key": task["where"]["S3Key"]},
    }


# -- prices ------------------------------------------------------------------------------------------------------------

#: Dollars an hour; these are numbers of ours and nobody's prices.
HOURLY = {"t3.micro": "0.0100000000", "t3.small": "0.0200000000", "t3.medium": "0.0400000000"}


def get_products(body: bytes) -> bytes:
    """Pages of one product, so that paging is seen."""
    asked = json.loads(body)
    wanted = {one["Field"]: one["Value"] for one in asked.get("Filters", [])}
    names = [] if wanted and wanted.get("operatingSystem") != "Linux" else sorted(HOURLY)
    first = int(asked.get("NextToken") or 0)
    answer: dict[str, Any] = {
        "FormatVersion": "aws_v1",
        "PriceList": [_product(one) for one in names[first : first + 1]],
    }
    if first + 1 < len(names):
        answer["NextToken"] = str(first + 1)
    return json.dumps(answer).encode()


def _product(name: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": HOURLY[name]}, "description": f"{name} Linux"}
    return json.dumps(
        {
            "product": {"attributes": {"instanceType": name, "operatingSystem": "Linux"}},
            "terms": {"OnDemand": {"X.Y": {"priceDimensions": {"X.Y.Z": dimension}}}},
        }
    )


def apply() -> None:
    """Once per process, before the first request."""
    for call in (
        get_serial_console_access_status,
        get_console_screenshot,
        get_console_output,
        import_snapshot,
        describe_import_snapshot_tasks,
        cancel_import_task,
        register_image,
    ):
        setattr(EC2Response, call.__name__, call)
    Ec2InstanceConnectResponse.send_serial_console_ssh_public_key = send_serial_console_ssh_public_key  # type: ignore[attr-defined]


__all__ = ["apply", "get_products", "tell"]
