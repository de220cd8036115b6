"""What an administrator can do to a pool: the table from which buttons, API and rights tests are made."""

from __future__ import annotations

from typing import Any

from django import forms

from kvweb.accounts.actions import ActionForm, Answer, after
from providers.resource_actions import ResourceAction, note_dismissal, row_dismissal
from providers.resources import ready
from storage import pool_services as services
from storage.models import Pool

PoolAction = ResourceAction[Pool]
VERB = "storage.manage"


def _can_switch(pool: Pool) -> bool:
    return pool.can.pools is not None and pool.can.pools.update


@after(ready)
def _when_stopped(pool: Pool) -> Answer:
    return "It is started already." if pool.is_active else True


@after(ready)
def _when_started(pool: Pool) -> Answer:
    return True if pool.is_active else "It is stopped."


class DeletePoolForm(ActionForm):
    """Whether what is in the pool goes with it."""

    with_volumes = forms.BooleanField(required=False, label="Delete all volumes and images in it too")

    def dress(self) -> None:
        field: Any = self.fields["with_volumes"]
        pool: Pool = self.subject
        field.help_text = (
            "Without this a pool that is not empty stays as it is."
            if pool.is_active
            else "It is stopped, so what is in it cannot be looked at: it stays where it is."
        )
        field.disabled = not pool.is_active


START = PoolAction(
    name="start",
    label="Start",
    doing="Starting",
    icon="player-play",
    verb=VERB,
    needs=lambda pool: _can_switch(pool) and not pool.is_active,
    when=_when_stopped,
    run=services.start,
    in_the_open=True,
)
REFRESH = PoolAction(
    name="refresh",
    label="Look again",
    doing="Looking",
    icon="refresh",
    verb=VERB,
    when=_when_started,
    run=services.refresh,
)
AUTOSTART = PoolAction(
    name="autostart",
    label="Start with the host",
    doing="Changing",
    icon="power",
    verb=VERB,
    needs=lambda pool: _can_switch(pool) and pool.autostart is False,
    when=ready,
    run=services.start_with_host,
    done="It starts with its host from now on.",
)
NO_AUTOSTART = PoolAction(
    name="no-autostart",
    label="Do not start with the host",
    doing="Changing",
    icon="power",
    verb=VERB,
    needs=lambda pool: _can_switch(pool) and pool.autostart is True,
    when=ready,
    run=services.leave_off_with_host,
    done="It stays stopped when its host starts.",
)
STOP = PoolAction(
    name="stop",
    label="Stop",
    doing="Stopping",
    icon="player-stop",
    verb=VERB,
    needs=lambda pool: _can_switch(pool) and pool.is_active,
    when=_when_started,
    run=services.stop,
    confirm="ask",
    question="While “{name}” is stopped nothing in it can be used: machines with disks there do not start.",
)
DELETE = PoolAction(
    name="delete",
    label="Delete",
    doing="Deleting",
    icon="trash",
    verb=VERB,
    needs=lambda pool: pool.can.pools is not None and pool.can.pools.create,
    when=ready,
    run=services.delete,
    confirm="type",
    form=DeletePoolForm,
    question="“{name}” is taken out of the provider. What is stored there stays where it is, unless you say otherwise.",
    is_destructive=True,
)
DISMISS_PROBLEM: PoolAction = note_dismissal(VERB)
DISMISS: PoolAction = row_dismissal(VERB)

#: In the order in which every page shows them.
ACTIONS: dict[str, PoolAction] = {
    action.name: action for action in (START, REFRESH, AUTOSTART, NO_AUTOSTART, STOP, DELETE, DISMISS_PROBLEM, DISMISS)
}
