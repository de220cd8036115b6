"""Reading pools and images: those of providers that the user may see."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from kvweb.accounts.access import Person, allowed, roles_of, within
from kvweb.accounts.models import Project
from providers import selectors as providers
from providers.models import Provider
from storage.models import Image, Pool, Volume


def usable_images(provider: Provider, project: Project | None = None) -> QuerySet[Image]:
    """Images that machines of a project can be made from: those for everybody, and its own."""
    found = provider.images.filter(Q(project=None) | Q(project=project), missing_since=None)
    return found.exclude(external_id="")


def images_visible_to(user: Person) -> QuerySet[Image]:
    """Images of providers that the user may see, but for those of other projects."""
    if not user.is_authenticated or not user.is_active:
        return Image.objects.none()
    images = Image.objects.select_related("provider", "project", "upload")
    if user.is_superuser:
        return images
    return images.filter(Q(project=None) | Q(project__in=list(roles_of(user))), provider__in=providers.visible_to(user))


def usable_pools(provider: Provider) -> QuerySet[Pool]:
    return provider.pools.filter(missing_since=None, is_active=True).exclude(external_id="")


def pools_visible_to(user: Person) -> QuerySet[Pool]:
    """Pools of providers that the user may see."""
    if not user.is_authenticated or not user.is_active:
        return Pool.objects.none()
    pools = Pool.objects.select_related("provider")
    if allowed(user, "storage.manage"):
        return pools
    mine = pools.filter(provider__in=providers.visible_to(user), missing_since=None)
    return mine.exclude(external_id="")


def volumes_visible_to(user: Person) -> QuerySet[Volume]:
    """Volumes of the user's projects; those that belong to nobody are for administrators."""
    found = Volume.objects.filter(within(user, "volume.view"))
    return found.select_related("provider", "pool", "project").defer("path")


def usable_volumes(provider: Provider, project: Project) -> QuerySet[Volume]:
    """Volumes of a project that no machine has: they can be attached."""
    return provider.volumes.filter(project=project, missing_since=None, is_used=False).exclude(external_id="")
