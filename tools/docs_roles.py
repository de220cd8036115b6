"""The table of roles in docs/people.md: who may do what, from the one table that judges it."""

from __future__ import annotations

from kvweb.accounts.access import ADMINISTRATION, VERBS, VERBS_OF_ROLE
from kvweb.accounts.models import Role

#: Each verb in the words of a person, in the order of the page; a test fails when one is missing.
MEANINGS: dict[str, str] = {
    "vm.view": "see machines",
    "job.view": "see jobs and their logs",
    "project.view": "see the project and who is in it",
    "vm.operate": "start, shut down, restart, pause, force off, change the medium in the drive",
    "vm.console": "open the screen and the serial console",
    "vm.share": "take the keyboard of a console from others, let guests in, have the serial line's log kept",
    "console.manage": "see who has which console open, and close it",
    "vm.snapshot": "take snapshots, go back to one, delete one",
    "vm.create": "create and clone machines",
    "vm.change": "change a machine: name, description, disks, network cards",
    "vm.migrate": "move machines to another provider",
    "vm.delete": "delete machines, dismiss those that were not made",
    "volume.view": "see the project's volumes",
    "volume.create": "create volumes and copy them",
    "volume.change": "grow volumes, attach them",
    "volume.delete": "delete volumes",
    "job.cancel": "cancel jobs of others",
    "image.create": "add images for the project",
    "image.change": "describe and delete the project's images",
    "project.manage": "add and remove members, give roles",
    "provider.view": "see the providers",
    "provider.change": "add, change, check, disable, remove providers",
    "user.change": "add people, reset passwords, make and rename projects",
    "portal.view": "see what concerns the whole portal",
    "vm.assign": "hand a machine to another project",
    "volume.assign": "hand a volume to a project",
    "storage.manage": "make, start, stop and delete pools",
    "network.manage": "make, change and delete networks, keep addresses",
}


def table() -> str:
    head = ["may", "verb", *(role.label for role in Role), "Administrator"]
    lines = [head, ["---"] * len(head)]
    for verb in sorted(VERBS, key=[*MEANINGS, *sorted(VERBS)].index):
        marks = ["–" if verb in ADMINISTRATION or verb not in VERBS_OF_ROLE[role] else "yes" for role in Role]
        lines.append([MEANINGS.get(verb, ""), f"`{verb}`", *marks, "yes"])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
