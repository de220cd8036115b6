"""manage.py rotate_seals: seals every provider's secrets anew with the newest key, so that older keys can go."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from kvweb.audit.services import record
from kvweb.jobs.models import ACTIVE, Job
from providers.models import Provider
from providers.secrets import rotate


class Command(BaseCommand):
    help = "Seal the stored credentials anew with the first of KVWEB_SEAL_KEYS. All of them or none are changed."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        del args, options
        providers = list(Provider.objects.select_for_update().exclude(sealed=""))
        lost = []
        for provider in providers:
            try:
                provider.sealed = rotate(provider.sealed)
            except InvalidToken:
                lost.append(f"“{provider.name}”")
        if lost:
            names = ", ".join(lost)
            raise CommandError(f"Nothing was changed: no key opens the credentials of {names}. Enter them again there.")
        Provider.objects.bulk_update(providers, ["sealed"])
        for provider in providers:
            record("provider.rotate_seals", subject=provider.subject, subject_name=provider.name)
        self.stdout.write(f"Sealed anew: {len(providers)}.")
        waiting = Job.objects.filter(state__in=ACTIVE).count()
        if waiting:
            self.stdout.write(f"Keep the older keys until the {waiting} jobs that wait or run have ended.")
