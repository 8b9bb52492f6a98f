"""The one exception that a user's mistake raises."""


class UserError(Exception):
    """A mistake that the user can mend: shown as one line without a traceback, exit code 2.

    The message says what is wrong, where (file, line, key) and what to do about it.
    """
