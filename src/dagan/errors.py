"""The one exception a user's input can cause: the command line prints it as one line and exits with code 2."""


class UserError(ValueError):
    """Says in one line what was given, what was expected and what to do."""
