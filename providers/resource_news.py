"""Who hears of a change of a pool, volume, network or image: its project, those that may use it, or administrators."""

from __future__ import annotations

from collections.abc import Iterable

from kvweb.events.services import News
from providers.models import Provider
from providers.resources import Resource, project_of


def news_of(rows: Iterable[Resource], topic: str = "changed") -> list[News]:
    """The news of these rows, which are all of one sort; two queries at most, however many there are."""
    listed = list(rows)
    shared = [row for row in listed if row.is_shared and project_of(row) is None]
    news = [News(row.subject, project_of(row), topic) for row in listed if row not in shared]
    if not shared:
        return news
    open_to = Provider.open_to({row.provider_id for row in shared})
    offered = shared[0].offers([row.pk for row in shared])
    for row in shared:
        limits = [found for found in (open_to.get(row.provider_id), offered.get(row.pk)) if found]
        if not limits:
            news.append(News(row.subject, None, topic, is_shared=True))
            continue
        # Nobody but administrators hears of what is offered to none of those who may use its provider.
        projects = sorted(set.intersection(*limits))
        news += [News(row.subject, project, topic) for project in projects] or [News(row.subject, None, topic)]
    return news
