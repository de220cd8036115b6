"""manage.py first_run: what a new portal needs before somebody can sign in; says as JSON what it did."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from kvweb.accounts.models import Project, User
from kvweb.accounts.services import create_first_people, unassigned_project
from providers import services as providers
from providers.models import Provider
from providers.registry import plugin
from storage.models import Image
from storage.services import add_image_from_file
from vms.flavors import default_flavors

ADMINISTRATOR = "admin"
FIRST_PROJECT = "Home"
GUEST_TITLE = "kvweb guest (small Linux for trying out)"


class Command(BaseCommand):
    help = "Creates the first administrator, project, sizes and provider; changes nothing that is there already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hypervisor", default="none", help="libvirt URI of the local hypervisor, or none")
        parser.add_argument("--guest", type=Path, help="qcow2 file of the guest image to register")
        parser.add_argument("--password", default="", help="the administrator's password; made up when not given")

    def handle(self, *args: Any, **options: Any) -> None:
        del args
        notes: list[str] = []
        password = None
        if not User.objects.filter(is_superuser=True).exists():
            password = options["password"] or secrets.token_urlsafe(12)
            create_first_people(username=ADMINISTRATOR, password=password, project_name=FIRST_PROJECT)
            notes.append(f"Created the administrator “{ADMINISTRATOR}” and the project “{FIRST_PROJECT}”.")
        unassigned_project()
        default_flavors()
        provider = Provider.objects.order_by("pk").first() or self._first_provider(options["hypervisor"], notes)
        if options["guest"] and options["guest"].is_file():
            self._guest(provider, options["guest"], notes)
        administrator = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        self.stdout.write(
            json.dumps(
                {
                    "admin": administrator.username if administrator else ADMINISTRATOR,
                    "password": password,
                    "provider": provider.kind,
                    "projects": Project.objects.filter(is_unassigned=False).count(),
                    "notes": notes,
                }
            )
        )

    def _first_provider(self, hypervisor: str, notes: list[str]) -> Provider:
        if hypervisor != "none":
            kind, name, values = "kvm", "This host", {"uri": hypervisor}
        else:
            kind, name = "fake", "Make-believe cloud"
            values = {"path": str(settings.KVWEB_HOME / "fake" / "cloud.sqlite3")}
            Path(values["path"]).parent.mkdir(parents=True, exist_ok=True)
        notes.append(f"Added the provider “{name}”.")
        return providers.add(kind=kind, name=name, config=plugin(kind).config.read(values))

    def _guest(self, provider: Provider, path: Path, notes: list[str]) -> None:
        """Once, and again when another guest was built: what it was built from is part of the image's name."""
        stamp = path.with_name(path.name + ".json")
        built_from = str(json.loads(stamp.read_text())["inputs"])[:8] if stamp.is_file() else "0"
        name = f"kvweb-guest-{built_from}.qcow2"
        if plugin(provider.kind).kind == "fake" or Image.objects.filter(provider=provider, name=name).exists():
            return
        add_image_from_file(
            provider,
            path=path.resolve(),
            name=name,
            title=GUEST_TITLE,
            os="linux",
            default_user="kvweb",
            min_memory_mib=256,
        )
        notes.append("The guest image is being added.")
