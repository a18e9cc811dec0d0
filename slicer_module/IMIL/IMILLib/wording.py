"""States in words, for the status line and where a case would be."""

from __future__ import annotations

from .i18n import _
from .records import Queue, RunStatus, ServerInfo

AWAITING, APPROVAL = "awaiting_review", "awaiting_approval"
"""The state of a run whose round is open, and of one whose readers look at what the round taught."""


def describe(info: ServerInfo) -> str:
    """What a server is, in a sentence or two."""
    status = info.status
    where = _("There is no run yet.")
    if status.run is not None:
        where = _("Run {run} is {state}, epoch {epoch} of {epochs}.").format(
            run=status.run, state=state_in_words(status), epoch=status.epoch, epochs=status.epochs
        )
    return _("This is {name} {version} with the study {study}. {where}").format(
        name=info.name, version=info.version, study=info.study, where=where
    )


def state_in_words(status: RunStatus) -> str:
    """The state of a run as people say it."""
    words = {
        "none": _("not started"),
        "training": _("training") if status.training else _("stopped"),
        AWAITING: _("waiting for answers"),
        APPROVAL: _("waiting for approval"),
        "completed": _("completed"),
        "failed": _("failed"),
    }
    return words.get(status.state, status.state)


def why_no_case(status: RunStatus | None, queue: Queue | None) -> str:
    """Why there is no case on the screen, and what to do about it."""
    if status is None:
        return ""
    if status.state == "none":
        return _("There is no run yet. Start training; the first cases come when it stops to ask.")
    if status.state == "training":
        if status.training:
            return _("The model is training. The next cases come when it stops to ask.")
        return _("Training was stopped. Resume it to get to the next cases.")
    if status.state == APPROVAL:
        return _("Look at what the answers of round {round} taught; then go on with training.").format(
            round=status.round
        )
    if status.state == "completed":
        return _("The run is completed. The table shows what the answers did.")
    if status.state == "failed":
        return _("Training failed. {message}").format(message=status.message)
    if status.reviewed >= status.queued:
        every = _("Every case of round {round} is answered. Continue training.").format(round=status.round)
        return f"{_round_message(status)} {every}".strip()
    held = [row for row in queue.rows if row.state != "done" and row.holder] if queue is not None else []
    if held:
        return _("The {count} cases left are with other readers.").format(count=len(held))
    return _("There is no case for you now.")


def _round_message(status: RunStatus) -> str:
    """What the server says of the round, such as what its answers lack, without how many there are."""
    return status.message.partition(f"{status.reviewed} of {status.queued} ")[0].strip()
