"""Runs an unmodified PyTorch program on tessel, or says which of its names are missing.

python -m tessel script.py arguments...
python -m tessel -m package.module arguments...
python -m tessel -c "import torch; print(torch.ones(3))"
python -m tessel --check script.py folder...      # reads, does not run
"""

from __future__ import annotations

import io
import os
import runpy
import sys
import traceback
from types import CodeType, ModuleType, TracebackType


def _run(code: CodeType, file: str | None) -> None:
    """The code as the program's main module."""
    main = ModuleType("__main__")
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    if file is not None:
        main.__file__ = file
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _what_is_missing(error: BaseException) -> str | None:
    """One line about a name of PyTorch's that the program stumbled over."""
    from . import _names

    if isinstance(error, _names.AbsentName):
        name = f"{error.where}.{error.absent}"
        return f"{name.replace('tessel', 'torch', 1)} is not there" + str(error).partition(repr(error.absent))[2]
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in ("torch", "tessel"):
        return str(error)
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] in ("torch", "tessel"):
        names = str(error).split("'")
        if str(error).startswith("cannot import name") and len(names) > 1:
            absent = _names.AbsentName((error.name or "").replace("torch", "tessel", 1), names[1])
            return _what_is_missing(absent)
        return str(error)
    if isinstance(error, NotImplementedError):
        return str(error)
    return None


def _where(trace: TracebackType | None) -> str:
    """The innermost line that is not tessel's own."""
    own = os.path.dirname(os.path.abspath(__file__))
    frames = [f for f in traceback.extract_tb(trace) if not f.filename.startswith((own, "<frozen", runpy.__file__))]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "the program"


def _report(error: BaseException) -> None:
    """The traceback without tessel's own first frames, and what is missing in one line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
    text = _what_is_missing(error)
    if text:
        print(f"tessel: {_where(error.__traceback__)}: {text}", file=sys.stderr)


def _execute(arguments: list[str]) -> None:
    from . import standin

    standin.install()
    first, rest = arguments[0], arguments[1:]
    if first == "-m":
        sys.argv = rest
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        _run(compile(rest[0], "<string>", "exec"), None)
    elif first == "-":
        sys.argv = ["-", *rest]
        sys.path.insert(0, "")
        _run(compile(sys.stdin.read(), "<stdin>", "exec"), None)
    elif os.path.isdir(first) or first.endswith((".zip", ".pyz")):
        sys.argv = arguments
        sys.path.insert(0, first)
        runpy.run_path(first, run_name="__main__")
    else:
        with io.open_code(os.path.abspath(first)) as f:
            code = compile(f.read(), first, "exec")
        sys.argv = arguments
        sys.path.insert(0, os.path.dirname(os.path.abspath(first)))
        _run(code, first)


def main(arguments: list[str]) -> int:
    if sys.path and sys.path[0] in ("", os.getcwd()):  # what `python -m` puts there; the script's own folder comes
        del sys.path[0]
    if not arguments and not sys.stdin.isatty():
        arguments = ["-"]
    if (
        not arguments
        or arguments[0] in ("-h", "--help")
        or (arguments[0] in ("-m", "-c", "--check") and len(arguments) < 2)
    ):
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    if arguments[0] == "--check":
        from .survey import check

        return check(arguments[1:])
    try:
        _execute(arguments)
    except (SystemExit, KeyboardInterrupt):
        raise
    except FileNotFoundError as error:
        if error.filename == os.path.abspath(arguments[0]):
            print(f"tessel: there is no {arguments[0]}", file=sys.stderr)
            return 2
        _report(error)
        return 1
    except BaseException as error:
        _report(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
