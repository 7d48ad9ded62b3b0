"""Ready models to start from: each checks, runs and names the sources of its defaults."""

from __future__ import annotations

from importlib import resources

from valueverse.errors import RefusalError


def names() -> list[str]:
    """The models there are, ascending."""
    files = [one.name for one in resources.files(__name__).iterdir()]
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def text(name: str) -> str:
    """A model as it is written, comments included.

    Raises:
        RefusalError: ``unknown_model``, with the name that was probably meant.
    """
    known = names()
    if name not in known:
        raise RefusalError.unknown("unknown_model", f"unknown model {name[:60]!r}", name, known, "name")
    return resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
