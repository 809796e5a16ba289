"""Sentences: the parts of which an experiment's answer is made."""

from collections.abc import Iterable, Sequence

from layerlab.show.plots import label
from layerlab.text import counted

#: What an answer says where there is nothing to tell.
NOTHING = "Nothing was measured"
_NAME_COLUMNS = 40
_MOST_NAMED = 3


def named(name: str) -> str:
    """A variant's name in a sentence; it may be a student's file name."""
    return label(name, _NAME_COLUMNS)


def listed(words: Sequence[str], most: int = 0) -> str:
    """ "a, b and c"; beyond ``most`` words, if that is given, only how many more there are."""
    if most and len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def count(number: int, word: str) -> str:
    """ "1 variant", "2 variants"; "no" in place of 0."""
    return counted(number, word) if number else f"no {word}s"


def sentence(parts: Iterable[str | None], failed: Iterable[str] = ()) -> str:
    """The parts that there are as one sentence, which ends with what could not be measured."""
    found = [part for part in parts if part] or [NOTHING]
    if names := [named(name) for name in failed]:
        found.append(f"{listed(names, _MOST_NAMED)} could not be measured")
    text = "; ".join(found)
    return f"{text[0].upper() if text.startswith(_OWN_WORDS) else text[0]}{text[1:]}."


#: A variant's name keeps its own spelling at a sentence's beginning.
_OWN_WORDS = (
    "a ",
    "after ",
    "from ",
    "in ",
    "no ",
    "all ",
    "of ",
    "with ",
    "who ",
    "where ",
    "each ",
)
