"""The errors a user can meet. Each is one sentence: the offending value, what is allowed, what to do.

Every module raises these; the command line prints the sentence, the server sends it with the class's HTTP status.
"""


class ImilError(Exception):
    """Something the caller did that can be explained in a sentence."""

    status = 400
    """HTTP status the server answers with."""


class BadInput(ImilError):
    """A value, file or request that can't be used as it is."""

    status = 400


class NotFound(ImilError):
    """A named thing (image, run, round, network) that doesn't exist here."""

    status = 404


class Conflict(ImilError):
    """A request that was fine once but not in the present state: stale round, foreign lease, second answer."""

    status = 409


class TooLarge(ImilError):
    """A request body or file over the stated limit."""

    status = 413


class Unavailable(ImilError):
    """Something that this machine can't do now: a full disk, a database that doesn't answer."""

    status = 503
