"""Models and weights from elsewhere: a folder with a hubconf.py, and files by address, kept once fetched."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import _names, serialization

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

# A file whose name ends like resnet18-5c106cde.pth says how its SHA-256 begins.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")

_dir: str | None = None


def _get_torch_home() -> str:
    """TORCH_HOME, else torch in the user's cache folder: what PyTorch has fetched is found there."""
    home = os.environ.get("TORCH_HOME")
    return os.path.expanduser(home or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch"))


def get_dir() -> str:
    """The folder where fetched files are kept."""
    return _dir if _dir is not None else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Chooses that folder."""
    global _dir
    _dir = os.path.expanduser(d)


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetches a file (http, https, ftp or file); it appears under its name when it is whole.

    Raises:
        RuntimeError: the SHA-256 does not begin with hash_prefix.
        OSError: it could not be fetched.
    """
    target = Path(dst).expanduser()
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url) as source, open(part, "wb") as out:  # noqa: S310 - the caller's address
            total, done = int(source.headers.get("Content-Length") or 0), 0
            while block := source.read(1 << 20):
                out.write(block)
                digest.update(block)
                done += len(block)
                if progress and sys.stderr.isatty():
                    share = f"{100 * done // total} %" if total else f"{done >> 20} MB"
                    print(f"\r{target.name}: {share}", end="", file=sys.stderr)
            if progress and sys.stderr.isatty():
                print(file=sys.stderr)
        if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(
                f"download_url_to_file: the SHA-256 of {url} is {digest.hexdigest()}, not {hash_prefix}..."
            )
        part.replace(target)
    except urllib.error.URLError as error:
        raise OSError(
            f"download_url_to_file: {url} could not be fetched ({error.reason}); fetch it by other means and put it"
            f" at {target}"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> dict[str, Any]:
    """The state_dict in a file by address, which is fetched unless it is there already. A path will do as well.

    Args:
        model_dir: where it is kept; `checkpoints` in get_dir() by default.
        check_hash: the file's name says how its SHA-256 begins, which is then checked.
        file_name: what to call it.
        weights_only: files are never executed, whatever is said here.
    """
    if not urllib.parse.urlparse(url).scheme:
        return serialization.load(url, map_location=map_location)  # type: ignore[no-any-return]
    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name or os.path.basename(urllib.parse.urlparse(url).path)
    path = folder / name
    if not path.exists():
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, str(path), found.group(1) if found else None, progress)
    return serialization.load(path, map_location=map_location)  # type: ignore[no-any-return]


def _entries(repo_or_dir: str, source: str, op: str) -> ModuleType:
    """The hubconf.py of a folder."""
    if source not in ("github", "local"):
        raise ValueError(f"{op}: source must be 'github' or 'local', got {source!r}")
    if source == "github":
        raise NotImplementedError(
            f"{op}: repositories are not fetched; git clone https://github.com/{repo_or_dir.split(':')[0]}, then pass"
            " its folder and source='local'"
        )
    path = Path(repo_or_dir).expanduser() / "hubconf.py"
    if not path.exists():
        raise FileNotFoundError(f"{op}: there is no {path}")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def _entry(module: ModuleType, model: str, op: str) -> Any:
    entry = getattr(module, model, None)
    if not callable(entry):
        raise RuntimeError(f"{op}: there is no callable {model!r} in hubconf.py")
    missing = [name for name in getattr(module, "dependencies", ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"{op}: missing dependencies: {', '.join(missing)}")
    return entry


def load(repo_or_dir: str, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """What the function `model` of a folder's hubconf.py returns. Only source='local' works: nothing is cloned."""
    for option in ("trust_repo", "force_reload", "verbose", "skip_validation"):
        kwargs.pop(option, None)
    return _entry(_entries(repo_or_dir, source, "load"), model, "load")(*args, **kwargs)


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = None,
    verbose: bool = True,
    source: str = "github",
) -> Any:  # noqa: A001,E501 - PyTorch's name
    """The names of the functions in a folder's hubconf.py."""
    module = _entries(github, source, "list")
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def help(github: str, model: str, *_: Any, source: str = "github", **__: Any) -> str | None:  # noqa: A001 - PyTorch's name
    """The docstring of a function of a folder's hubconf.py."""
    return _entry(_entries(github, source, "help"), model, "help").__doc__  # type: ignore[no-any-return]
