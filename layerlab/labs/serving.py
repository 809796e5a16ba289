"""A variant's container that is to serve, and its author's mistakes by the Dockerfile's name and line."""

from collections.abc import Iterator
from contextlib import contextmanager

from layerlab.build.variant import Variant
from layerlab.errors import LabError, RunLost
from layerlab.run import shutdown

_EXAMPLE = 'CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]'


@contextmanager
def told_by(variant: Variant) -> Iterator[str]:
    """What errors of a variant's containers are to begin with: the line that starts the app.

    Raises:
        LabError: as the body, and with what to do where the Dockerfile starts nothing itself.
    """
    launching = variant.dockerfile.launching()
    called = variant.where(shutdown.culprit(launching))
    try:
        yield called
    except RunLost:
        raise
    except LabError as error:
        if launching:
            raise
        base, _ = variant.dockerfile.lineage()
        raise LabError(
            f"{called}: it has no CMD and no ENTRYPOINT, so what {base or 'its base'} starts is all that "
            f"runs: end it with one, such as {_EXAMPLE}\n{error}"
        ) from error
