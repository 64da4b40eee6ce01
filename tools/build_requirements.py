"""Prints what pyproject.toml asks for to build, one requirement a line: the Makefile installs it itself."""

from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10: pip carries the same reader
    from pip._vendor import tomli as tomllib

settings = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
print("\n".join(requirement.replace(" ", "") for requirement in settings["build-system"]["requires"]))
