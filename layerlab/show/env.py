"""Tables of the environment lab: who wins against whom, and what odd values become."""

from collections.abc import Mapping

from layerlab.run import env, spelling
from layerlab.run.env import Pair, Way
from layerlab.run.spelling import Odd
from layerlab.show.sentence import count, listed, sentence
from layerlab.show.tables import in_cell, table

APART, LACKING, NEITHER, CONTRARY = "-", "x", "!", "*"
SAME, WRONG = "=", "!"


QUESTION = "Who wins when two ways set one environment variable?"


def answer(won: Mapping[Pair, Way | None]) -> str:
    """The ways that give a value and win against all others that they meet, and what was predicted."""
    met = {pair: way for pair, way in won.items() if not pair.alone}
    if not met:
        return sentence([])
    against: dict[Way, list[bool]] = {}
    for pair, winner in met.items():
        for way in pair.ways:
            against.setdefault(way, []).append(winner == way)
    first = [
        f"`{way.name}`"
        for way, all_ in against.items()
        if all(all_) and len(all_) > 1 and not way.removes
    ]
    right = sum(
        (told := env.predict(pair)) is not None and told[0] == way for pair, way in met.items()
    )
    every = "all" if right == len(met) else f"{right} of"
    how = f"{every} {count(len(met), 'pair')} went by Docker's rules"
    contrary = sum(_contrary(pair) for pair in met)
    otherwise = f", {contrary} of them not as its pages say" if contrary else ""
    wins = f"{'wins' if len(first) == 1 else 'win'} against every other way that can meet "
    wins += "it" if len(first) == 1 else "them"
    return sentence([f"{listed(first)} {wins}" if first else None, how + otherwise])


def winners(
    won: Mapping[tuple[Way, Way], Way | None], lacking: Mapping[Way, str], style: str
) -> str:
    """The ways as rows, and as columns by their numbers; a cell has the winner's number."""
    rows = []
    for row in env.WAYS:
        cells = []
        for column in env.WAYS:
            pair = Pair(*sorted((row, column), key=lambda way: way.number))
            if env.apart(pair):
                cells.append(APART)
            elif row in lacking or column in lacking:
                cells.append(LACKING)
            else:
                winner = won[pair.one, pair.other]
                text = str(winner.number) if winner else NEITHER
                cells.append(in_cell(text + CONTRARY * _contrary(pair), style))
        rows.append([in_cell(_numbered(row), style), *cells])
    return table(rows, ["way", *(str(way.number) for way in env.WAYS)], style, left=(0,))


def _contrary(pair: Pair) -> bool:
    """Whether engines are known to do otherwise than the documentation says."""
    predicted = env.predict(pair)
    return bool(predicted and predicted[1] and predicted[1].contrary)


def winners_notes(lacking: Mapping[Way, str]) -> tuple[str, ...]:
    """What a reader of :func:`winners` must know."""
    removing = " and ".join(str(way.number) for way in env.WAYS if way.removes)
    reasons = dict.fromkeys(
        why for one in env.WAYS for other in env.WAYS if (why := env.apart(Pair(one, other)))
    )
    return (
        "Each cell: the way whose value the running app has at /info, for a variable K and a value V. "
        + "A way against itself is that way alone.",
        f"{removing} win by removing the variable. Of two -e flags (4 with 5 or 6) the later counts.",
        "9 with 10, 11 or 12 is ${K:-V}; 13 with them is a bare K that they give a value.",
        *(
            f"{CONTRARY} not as documented: {rule.sentence}; {rule.contrary}."
            for rule in env.RULES
            if rule.contrary
        ),
        f"{APART} they can't meet: {'; '.join(reasons)}.",
        *_lacking_notes(lacking),
    )


def oddities(
    arrived: Mapping[tuple[Odd, Way], str | None], lacking: Mapping[Way, str], style: str
) -> str:
    """Odd values as rows, the ways by their numbers as columns; a cell says what changed a value."""
    ways = [way for way in env.WAYS if not way.removes]
    rows = []
    for odd in spelling.ODD:
        cells = []
        for way in ways:
            if way in lacking:
                cells.append(LACKING)
            elif spelling.unspeakable(way, odd.text):
                cells.append(APART)
            else:
                cells.append(_change(odd, way, arrived[odd, way]))
        rows.append([in_cell(odd.name, style), *cells])
    return table(rows, ["value", *(str(way.number) for way in ways)], style, left=(0,))


def _change(odd: Odd, way: Way, said: str | None) -> str:
    """What the app's answer shows: the value itself, what the rules make of it, or neither."""
    if said == odd.text:
        return SAME
    expected, changes = spelling.arrives(way, odd.text)
    return "".join(change.letter for change in changes) if said == expected else WRONG


def oddities_notes() -> tuple[str, ...]:
    """What a reader of :func:`oddities` must know."""
    letters = "; ".join(f"{change.letter} {change.sentence}" for change in spelling.CHANGES)
    reasons = dict.fromkeys(
        why
        for odd in spelling.ODD
        for way in env.WAYS
        if (why := spelling.unspeakable(way, odd.text))
    )
    return (
        "Columns: the ways of the table above. Values are written without quotes where a way knows how.",
        f"{SAME} it came through byte for byte; {letters}; {WRONG} otherwise.",
        f"{APART} it can't be said: {'; '.join(reasons)}.",
    )


def _lacking_notes(lacking: Mapping[Way, str]) -> list[str]:
    reasons: dict[str, list[int]] = {}
    for way, why in lacking.items():
        reasons.setdefault(why, []).append(way.number)
    return [
        f"{LACKING} not available: {', '.join(map(str, numbers))}: {why}."
        for why, numbers in reasons.items()
    ]


def _numbered(way: Way) -> str:
    return f"{way.number:>2} {way.name}"
