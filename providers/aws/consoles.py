"""Consoles of VMs at AWS: the serial line by way of EC2 Instance Connect, and pictures of the screen.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-serial-console.html
"""

from __future__ import annotations

from base64 import b64decode

from providers.aws import inventory, serial_hosts, types
from providers.aws.cloud import Part
from providers.aws.records import state_of
from providers.base import (
    MOST_OUTPUT,
    Conflict,
    ConsoleKind,
    Consoles,
    ConsoleTarget,
    Picture,
    ProviderError,
    SshConsole,
)

PORT = 0


class AwsConsoles(Part, Consoles):
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        """The serial line: AWS takes a key for a minute, and lets in who signs in with it as the VM's port.

        AWS carries one session of each VM at a time.
        """
        told = inventory.instance(self.cloud, external_id)
        if kind is not ConsoleKind.SERIAL:
            raise Conflict("A VM at AWS has no screen that could be opened.")
        if state_of(told) != "running":
            raise Conflict("Start the VM first.")
        size = types.known(self.cloud, [told["InstanceType"]]).get(told["InstanceType"])
        if size is not None and not size.has_serial_line:
            raise Conflict(f"AWS has no serial line for VMs of the size “{size.name}”; newer ones have it.")
        where = serial_hosts.place(self.cloud)
        if where is None:
            raise Conflict("Nobody has said where the serial lines of this region are.")

        def authorise(public_key: str) -> None:
            self.cloud.call(
                "ec2-instance-connect",
                "send_serial_console_ssh_public_key",
                InstanceId=external_id,
                SerialPort=PORT,
                SSHPublicKey=public_key,
            )

        return SshConsole(
            host=where[0],
            port=where[1],
            user=f"{external_id}.port{PORT}",
            known_hosts=serial_hosts.known_hosts(self.cloud),
            authorise=authorise,
            # Another start is another launch time.
            endpoint=f"{external_id}#{told.get('LaunchTime')}",
        )

    def screenshot(self, external_id: str) -> Picture:
        """What the firmware or a guest without graphics driver shows: a JPEG."""
        told = inventory.instance(self.cloud, external_id)
        if state_of(told) != "running":
            raise Conflict("Start the VM first.")
        answer = self.cloud.ec2("get_console_screenshot", InstanceId=external_id, WakeUp=True)
        data = b64decode(answer.get("ImageData") or "")
        if not data:
            raise ProviderError("AWS gave an empty picture of the screen.")
        return Picture(media_type="image/jpeg", data=data)

    def output(self, external_id: str) -> bytes:
        """GetConsoleOutput: 64 KiB, of this moment on Nitro and some minutes after a start on older hypervisors.

        The SDK has taken it out of its base64 already, with U+FFFD for what is not UTF-8.
        """
        told = inventory.instance(self.cloud, external_id)
        size = types.known(self.cloud, [told["InstanceType"]]).get(told["InstanceType"])
        # Older hypervisors refuse to be asked for this moment's.
        wish = {"Latest": True} if size is not None and size.has_serial_line else {}
        answer = self.cloud.ec2("get_console_output", InstanceId=external_id, **wish)
        data = str(answer.get("Output") or "").encode()[-MOST_OUTPUT:]
        if not data:
            raise Conflict("AWS has no output of this VM yet; it comes some minutes after the start.")
        return data
