"""What can go wrong between Slicer and the server."""

from __future__ import annotations

_OFFLINE = frozenset({"refused", "unknown_host", "timeout", "server", "nonsense"})


class ServerError(Exception):
    """The server can't be reached, or refuses, or answers what nobody can use. ``str()`` is one sentence for a person.

    Attributes:
        kind: ``address`` (no usable URL), ``refused`` (nothing answers there), ``unknown_host``, ``timeout``,
            ``certificate``, ``token`` (401 or 403), ``not_imil`` (another kind of server), ``older`` (an IMIL server
            too old for this module), ``nonsense`` (unreadable or half an answer), ``too_large``, ``conflict`` (409: not
            in the present state), ``missing`` (404), ``rejected`` (any other refusal), ``server`` (it failed itself).
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind

    @property
    def offline(self) -> bool:
        """Whether the same request may succeed later without anybody changing it."""
        return self.kind in _OFFLINE
