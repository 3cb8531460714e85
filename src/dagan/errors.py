"""The one exception a user's input can cause: the command line prints it as one line and exits with code 2."""


class UserError(ValueError):
    """Says in one line what was given, what was expected and what to do."""


def reason_of(error: BaseException) -> str:
    """What an error of a library says, in one line."""
    said = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    return said.splitlines()[0]
