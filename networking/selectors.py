"""Reading networks: those of providers that the user may see."""

from __future__ import annotations

from django.db.models import QuerySet

from kvweb.accounts.access import Person
from networking.models import Network
from providers import selectors as providers
from providers.models import Provider


def visible_to(user: Person) -> QuerySet[Network]:
    return Network.objects.filter(provider__in=providers.visible_to(user)).select_related("provider")


def usable(provider: Provider) -> QuerySet[Network]:
    """Networks that a new machine can be plugged into."""
    return provider.networks.filter(missing_since=None, is_active=True)
