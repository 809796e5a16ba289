"""The one error that a user is meant to read."""


class LabError(Exception):
    """A mistake or a lack that the user can mend: one clear sentence, no traceback.

    The text says what was tried, what the engine said (its last lines) and what to do next.
    The faces print it and end with exit code 2.
    """


class RunLost(LabError):
    """Nothing more can be measured: the engine went away, or the store can't be written."""


class Unmet(AssertionError):
    """A variant did not do what was expected of it: shown to its author without our frames."""


def os_sentence(error: OSError) -> str:
    """A failed file operation in one sentence: a full disk, a missing right, …

    Python does not say whether it was one that reads or one that writes; and of a disk that fills, no file.
    """
    if error.filename is None:
        return f"{error.strerror}: free some space"
    return f"{error.filename}: {error.strerror}: see to it that this can be read and written, then run again"
