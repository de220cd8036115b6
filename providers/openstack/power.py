"""Power: start, stop, restart, pause and resume."""

from __future__ import annotations

from providers.base import QUIET, Conflict, Power, Progress, VmRecord
from providers.openstack.errors import vendor_calls
from providers.openstack.servers import ServerPart, is_off, is_up
from providers.openstack.service import Json

#: What brings a VM up, by the status it is in.
_WAKE = {
    "SHUTOFF": "os-start",
    "PAUSED": "unpause",
    "SUSPENDED": "resume",
    "SHELVED": "unshelve",
    "SHELVED_OFFLOADED": "unshelve",
}


class OpenStackPower(ServerPart, Power):
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        """Also wakes what is paused, suspended or shelved."""
        with vendor_calls():
            server = self.server(external_id)
            if not is_up(server):
                server = self._up(server, progress)
            return self.record_of(server)

    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        """Nova itself asks the guest, waits as long as the cloud says (60 s by default) and pulls the plug.

        It offers no other way, so `force` and `timeout_s` change nothing.
        """
        del force, timeout_s
        with vendor_calls():
            server = self.server(external_id)
            if is_off(server):
                return self.record_of(server)
            if server["status"] in ("PAUSED", "SUSPENDED"):
                # Nova stops only what runs.
                self._up(server, progress)
            self.act(external_id, "os-stop")
            return self.record_of(self.wait_state(external_id, "SHUTOFF", what="Stopping the VM", progress=progress))

    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            server = self.server(external_id)
            if not is_up(server):
                raise Conflict("The VM does not run.", server["status"])
            self.act(external_id, "reboot", {"type": "HARD" if force else "SOFT"})
            return self.record_of(self.wait_state(external_id, "ACTIVE", what="Restarting the VM", progress=progress))

    def pause(self, external_id: str) -> VmRecord:
        with vendor_calls():
            server = self.server(external_id)
            if server["status"] != "ACTIVE":
                raise Conflict("Only a running VM can be paused.", server["status"])
            self.act(external_id, "pause")
            return self.record_of(self.wait_state(external_id, "PAUSED", what="Pausing the VM"))

    def resume(self, external_id: str) -> VmRecord:
        with vendor_calls():
            server = self.server(external_id)
            if server["status"] not in ("PAUSED", "SUSPENDED"):
                raise Conflict("The VM is not paused.", server["status"])
            return self.record_of(self._up(server, QUIET))

    def _up(self, server: Json, progress: Progress) -> Json:
        action = _WAKE.get(server["status"])
        if action is None:
            raise Conflict("The VM's state does not allow this.", server["status"])
        self.act(server["id"], action)
        return self.wait_state(server["id"], "ACTIVE", what="Starting the VM", progress=progress)
