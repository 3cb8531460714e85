"""The one exception a user's input can cause, which the command line prints as one line and exits with code 2; and the
one a signal causes."""

import signal


class UserError(ValueError):
    """Says in one line what was given, what was expected and what to do."""


def reason_of(error: BaseException) -> str:
    """What an error of a library says, in one line."""
    said = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    return said.splitlines()[0]


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C asked the command to end; its number is the exit code less 128."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number
