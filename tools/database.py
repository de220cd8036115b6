"""Brings the database up to date and lets the portal make its first rows; prints what `first_run` says, as JSON.

One process for both, since loading Django is most of the time that either takes.
"""

from __future__ import annotations

import argparse
import os

import django
from django.core.management import call_command, get_commands


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.database")
    parser.add_argument("--hypervisor", required=True, help='the address of the local libvirt, or "none"')
    parser.add_argument("--guest", help="the small guest image, when there is one")
    wanted = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvweb.settings")
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    if "first_run" in get_commands():
        call_command(
            "first_run", "--hypervisor", wanted.hypervisor, *(["--guest", wanted.guest] if wanted.guest else [])
        )


if __name__ == "__main__":
    main()
