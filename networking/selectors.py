"""Reading networks: those of providers that the user may see, as far as they are offered to the user's projects."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from kvweb.accounts.access import Person, allowed, roles_of
from kvweb.accounts.models import Project
from networking.models import Network
from providers import selectors as providers
from providers.models import Provider


def visible_to(user: Person) -> QuerySet[Network]:
    """Administrators see all, others those that one of their projects may use."""
    if not user.is_authenticated or not user.is_active:
        return Network.objects.none()
    networks = Network.objects.select_related("provider")
    if allowed(user, "network.manage"):
        return networks
    offered = Q(projects__isnull=True) | Q(projects__in=list(roles_of(user)))
    mine = networks.filter(offered, provider__in=providers.visible_to(user), missing_since=None)
    return mine.exclude(external_id="").distinct()


def usable(provider: Provider, project: Project | None = None) -> QuerySet[Network]:
    """Networks that a new machine can be plugged into, of this project where one is named."""
    networks = provider.networks.filter(missing_since=None, is_active=True).exclude(external_id="")
    if project is not None:
        networks = networks.filter(Q(projects__isnull=True) | Q(projects=project)).distinct()
    return networks
