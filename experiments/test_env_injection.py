"""The environment: who wins when a variable is set in two ways?

The chapter changes variables with `docker run -e` and with compose's `environment`, and looks at /info.
There are more ways: the image's ENV, a build ARG in it, `docker run --env-file`, compose's `env_file`,
`${K}` interpolated from the shell, from `.env` or from `--env-file`, a bare name, and
`docker compose run -e`. Here each way is tried alone and each two together, in a variable of their own,
so that a few containers of one image show them all; and the running app is asked what it has.

Expected is what the documentation says (layerlab/run/env.py has each rule with its page):

    docker run        -e  >  --env-file  >  the image's ENV
    docker compose    run -e  >  environment  >  env_file, the last one  >  the image's ENV
    inside ${K}       the shell  >  --env-file, in place of .env  >  .env
    a bare name       takes its value from outside; where there is none, it removes the image's

A `.env` by itself gives a container nothing: it is for `${K}` in compose.yaml alone.

Odd values (Korean text, quotes, #, $, a newline, …) come through every way byte for byte, except where
the syntax of compose's files says otherwise (layerlab/run/spelling.py).
"""

import pytest

from layerlab.build.variant import Variant
from layerlab.errors import Unmet
from layerlab.lab import Lab
from layerlab.labs import env_injection
from layerlab.labs.env_injection import Answers
from layerlab.run import env, spelling
from layerlab.run.env import Pair, Way
from layerlab.run.spelling import Odd

#: One variant is enough: Docker hands variables to every image alike.
PRODUCTION = "production"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.experiment(env_injection.EXPERIMENT, packaged=PRODUCTION),
]


@pytest.fixture(scope="module")
def answers(lab: Lab, packaged: Variant) -> Answers:
    """What the app answered, with every pair of ways and every odd value handed to it."""
    return env_injection.measure(lab, packaged)


@pytest.mark.parametrize("way", env.WAYS, ids=lambda way: way.name)
def test_who_wins(answers: Answers, way: Way) -> None:
    """Against every other way, and alone, a way wins or loses as documented."""
    if why := answers.available(way):
        pytest.skip(f"{way.name} is not available: {why}")
    pairs = [pair for pair in env.pairs() if way == pair.one and not answers.available(*pair.ways)]
    differences = [told for pair in pairs if (told := env_injection.explain(pair, answers))]
    if differences:
        raise Unmet("\n".join(differences))


@pytest.mark.parametrize("odd", spelling.ODD, ids=lambda odd: odd.name)
def test_odd_value(answers: Answers, odd: Odd) -> None:
    """In every way, an odd value arrives unchanged, or changed by a rule."""
    ways = [way for way in env.WAYS if odd.variable(way) in answers.values]
    differences = [told for way in ways if (told := env_injection.explain_odd(odd, way, answers))]
    if differences:
        raise Unmet("\n".join(differences))


@pytest.mark.parametrize("way", [w for w in env.WAYS if w.removes], ids=lambda way: way.name)
def test_a_bare_name_removes_the_images_value(answers: Answers, way: Way) -> None:
    """The variable is gone, which is not the same as empty."""
    if why := answers.available(way):
        pytest.skip(f"{way.name} is not available: {why}")
    assert answers.values[Pair(env.IMAGE_ENV, way).variable] is None


def test_dot_env_alone_gives_nothing(answers: Answers) -> None:
    """What `.env` says is in no container unless compose.yaml asks for it."""
    if why := answers.available(env.DOT_ENV):
        pytest.skip(f"compose is not available: {why}")
    assert answers.values[env_injection.FORGOTTEN] is None
