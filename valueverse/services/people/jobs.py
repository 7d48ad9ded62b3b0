"""The jobs that mail invitations, and links to another password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread

from valueverse.platform.job_queue import JobKind
from valueverse.platform.stores import people_store as store
from valueverse.platform.warehouse import connect
from valueverse.services.people.invitations import send_invitation
from valueverse.services.people.password_mail import send_reset

if TYPE_CHECKING:
    from valueverse.platform.isolation import Failure
    from valueverse.platform.job_queue import Job
    from valueverse.platform.settings import Settings

QUEUE = "mails"
_INVITATION_WAITS = (10, 60, 300, 1800, 7200, 21_600)
_RESET_WAITS = (5, 20, 60, 180, 600)
"""Together less than a link to another password is good for."""


async def _mail_invitation(settings: Settings, job: Job) -> None:
    await to_thread.run_sync(_invite, settings, job)


def _invite(settings: Settings, job: Job) -> None:
    with connect(settings, "builder") as connection:
        row = store.unsent_invitation(connection, job.tenant, job.key)
    if row is not None:
        send_invitation(settings, job.tenant, job.key, row["email"], row["role"])
        _note(settings, job, "sent")


async def _give_up_invitation(settings: Settings, job: Job, _: Failure) -> None:
    await to_thread.run_sync(_note, settings, job, "failed")


def _note(settings: Settings, job: Job, state: str) -> None:
    with connect(settings, "builder") as connection:
        store.note_mail(connection, job.tenant, job.key, state)


async def _mail_reset(settings: Settings, job: Job) -> None:
    await to_thread.run_sync(_reset, settings, job)


def _reset(settings: Settings, job: Job) -> None:
    with connect(settings, "builder") as connection:
        email = store.address_of_reset(connection, job.tenant, job.key)
    if email is not None:
        send_reset(settings, job.tenant, email, job.key)


async def _give_up_reset(_: Settings, __: Job, ___: Failure) -> None:
    """Nobody hears of it: whoever asked is answered alike whether or not there is such a person, and asks again."""


KINDS = (
    JobKind("mail_invitation", QUEUE, _mail_invitation, _INVITATION_WAITS, _give_up_invitation),
    JobKind("mail_reset", QUEUE, _mail_reset, _RESET_WAITS, _give_up_reset),
)
