"""How the command line tells errors: one sentence on stderr."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from imil.errors import BadInput, ImilError, NotFound

USAGE_ERROR = 2
FAILURE = 1
INTERRUPTED = 130
_JSON_FLAG = re.compile(r'send "(\w+)": true')


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Turn an exception into a sentence and an exit status: 2 for the user's mistakes, 1 for failures.

    Set the environment variable ``IMIL_TRACEBACK`` to see where an unexpected error came from.
    """
    try:
        yield
    except ImilError as error:
        _fail(str(error), USAGE_ERROR if isinstance(error, BadInput | NotFound) else FAILURE)
    except KeyboardInterrupt:
        _fail("interrupted.", INTERRUPTED)
    except Exception as error:
        if os.environ.get("IMIL_TRACEBACK"):
            raise
        _fail(
            f"{type(error).__name__}: {error} (not expected; set IMIL_TRACEBACK=1 and run it again to see where)",
            FAILURE,
        )


def as_flags(sentence: str) -> str:
    """Advice given for REST (``send "new_run": true``) in the form of the command line (``use --new-run``)."""
    return _JSON_FLAG.sub(lambda match: f"use --{match[1].replace('_', '-')}", sentence)


def _fail(sentence: str, status: int) -> NoReturn:
    typer.echo(f"Error: {as_flags(sentence)}", err=True)
    sys.exit(status)
