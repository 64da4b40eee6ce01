"""The house keeps its walls: what kernels include, what their objects hold, who has a spec, how files are named.

The parts that read a build need its folder: TESSEL_BUILD_DIR, else the newest below build/.
"""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from functools import cache

import pytest

import tessel
from tests import STANDS_IN
from tests.specs import every_spec

ROOT = pathlib.Path(__file__).parents[1]
KERNELS = ROOT / "csrc" / "kernels"
CODE = {".cpp", ".h", ".cu", ".cuh", ".py"}
TARGETS = ("scalar", "avx2", "avx512", "avx512bf16", "amx")


def of_files(*folders):
    """One test for each source file; none where the tests lie without the sources."""
    found = [p for f in folders for p in sorted((ROOT / f).rglob("*")) if p.suffix in CODE and p.is_file()]
    return pytest.mark.parametrize("path", found, ids=[str(p.relative_to(ROOT)) for p in found])


def without_comments(text: str) -> str:
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', lambda m: m[0] if m[0][0] == '"' else "", text, flags=re.S)


# the wall, by reading


CPU_KERNELS = sorted((KERNELS / "cpu").rglob("*.cpp")) + sorted((KERNELS / "cpu").rglob("*.h"))
SHARED = [KERNELS / name for name in ("kernels.h", "functions.h", "loop.h", "philox.h", "rare.h")]
ALLOWED = re.compile(
    r'"kernels/(kernels|functions|loop|philox|rare)\.h"|"kernels/cpu/[\w/]+\.h"|"core/(parallel|dtype)\.h"|<[a-z0-9_/]+\.h>|TESSEL_HEADER\(.*\)'
)


@pytest.mark.parametrize("path", CPU_KERNELS + SHARED, ids=lambda p: str(p.relative_to(ROOT)))
def test_kernels_include_only_what_the_wall_allows(path):
    text = path.read_text()
    included = re.findall(r"""^\s*#\s*include\s+("[^"]+"|<[^>]+>|.+)""", text, re.M)
    foreign = [name for name in included if not ALLOWED.match(name.strip())]
    assert not foreign, f"includes {foreign}"
    code = without_comments(text)
    words = re.findall(r"\bstd::\w+|\bTensor\b|\bthrow\b|\bdynamic_cast\b|\btypeid\b", code)
    assert not words, f"speaks of {sorted(set(words))}"


def test_parallel_declares_only_plain_functions():
    """Kernels include it, so it brings nothing along that another file could share."""
    for name in ("parallel.h", "dtype.h"):
        included = re.findall(r"^\s*#\s*include\s+(\S+)", (ROOT / "csrc/core" / name).read_text(), re.M)
        foreign = [i for i in included if not re.match(r"<(c?std(int|def|io|arg)(\.h)?|stdint\.h|stddef\.h)>", i)]
        assert not foreign, f"{name} includes {foreign}"


# the wall, by the objects


@cache
def build_folder() -> pathlib.Path:
    told = os.environ.get("TESSEL_BUILD_DIR")
    if told:
        found = [p.parent for p in pathlib.Path(told).rglob("CMakeCache.txt")]
    else:
        found = [p.parent for p in (ROOT / "build").glob("*/CMakeCache.txt")]
    found = [p for p in found if any(p.glob("CMakeFiles/kernels_*.dir"))]
    if not found:
        pytest.skip(
            "no build with kernels below "
            + (told or "build/")
            + ": the objects were NOT examined; set TESSEL_BUILD_DIR"
        )
    return max(found, key=lambda p: (p / "CMakeCache.txt").stat().st_mtime)


def tool(name) -> str:
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} (binutils) is not there: the objects were NOT examined")
    return path


def output(*command) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


@cache
def commands() -> dict[pathlib.Path, str]:
    """Every object of the build, and the command that makes it; objects of sources long gone are not among them."""
    told = build_folder() / "compile_commands.json"
    if not told.exists():
        pytest.skip("this build wrote no compile_commands.json: the objects were NOT examined")
    made = {}
    for entry in json.loads(told.read_text()):
        path = pathlib.Path(entry["directory"]) / re.search(r" -o (\S+)", entry["command"])[1]
        made[path] = entry["command"]
    return made


def target_of(path) -> str:
    """The instruction set whose object library the object belongs to; empty outside of the kernels."""
    library = re.search(r"/kernels_(\w+)\.dir/", str(path))
    return library[1] if library else ""


def objects(target) -> list[pathlib.Path]:
    found = [path for path in commands() if target_of(path) == target and path.exists()]
    if not found:
        pytest.skip(f"this build has no {target} kernels")
    return found


def sanitized() -> bool:
    cache = (build_folder() / "CMakeCache.txt").read_text()
    return bool(re.search(r"^TESSEL_SANITIZE:\w+=\S", cache, re.M))


@pytest.mark.parametrize("target", TARGETS)
def test_no_weak_symbol_outside_the_targets_namespace(target):
    inside = re.compile(rf"_Z(GV|GR|T[VIST])?Z*N[KVrRO]*6tessel{len(target)}{target}(?=\d|[A-Z]|[a-z][a-z])")
    strangers = {}
    for path in objects(target):
        for line in output(tool("nm"), path).splitlines():
            kind, name = line.split()[-2:]
            if kind in "WVu" and not inside.match(name):
                strangers.setdefault(name, path.name)
    if sanitized():
        strangers = {k: v for k, v in strangers.items() if not re.match(r"_*(asan|ubsan|odr|san)|DW\.ref|\.?L?_", k)}
    shown = "\n".join(f"{where}: {name}" for name, where in list(strangers.items())[:20])
    assert not strangers, f"{len(strangers)} weak symbols that the linker may merge across instruction sets:\n{shown}"


@pytest.mark.parametrize("target", TARGETS)
def test_kernels_define_symbols_only_in_their_namespace(target):
    """A strong symbol of the same name in two targets would not link; one outside the namespace is a door left open."""
    inside = re.compile(rf"_Z(GV|GR|T[VIST])?L?Z*N[KVrRO]*6tessel{len(target)}{target}(?=\d|[A-Z]|[a-z][a-z])")
    for path in objects(target):
        defined = [
            line.split()[-1]
            for line in output(tool("nm"), "--defined-only", "--extern-only", path).splitlines()
            if len(line.split()) == 3
        ]
        strangers = [name for name in defined if not inside.match(name)]
        assert not strangers or sanitized(), f"{path.name} defines {strangers[:10]}"


@pytest.mark.parametrize("target", TARGETS)
def test_kernels_run_nothing_at_load_time(target):
    if sanitized():
        pytest.skip("sanitizers register every object at load time: NOT examined")
    for path in objects(target):
        sections = output(tool("readelf"), "-SW", path)
        assert not re.search(r"\.(init_array|ctors)\b", sections), path.name
        assert ".gnu.lto" not in sections, f"{path.name} was compiled for link-time optimisation"


@pytest.mark.parametrize("target", TARGETS)
def test_kernels_call_nobody_but_the_c_library_and_the_pool(target):
    """Undefined symbols: the C library's maths and memory, tessel's own pool; nothing of the C++ library."""
    for path in objects(target):
        wanted = [
            line.split()[-1] for line in output(tool("nm"), "--undefined-only", path).splitlines() if line.split()
        ]
        cxx = [name for name in wanted if re.match(r"_Z(N?S|St|NKSt|n[wa]|d[la])|__cxa_(?!atexit|finalize)", name)]
        assert not cxx or sanitized(), f"{path.name} needs {cxx[:10]}"


VEX = re.compile(
    r"^\s+[0-9a-f]+:\s+(v(?!err|erw|mcall|mlaunch|mread|mwrite|mx)[a-z0-9]+|k(?:mov|and|or|xor|not)[bwdq]+|tile\w+|tdp\w+)\b",
    re.M,
)


def test_no_vector_extension_outside_the_targets():
    if not re.search(r"x86_64|AMD64", os.uname().machine):
        pytest.skip("VEX is a matter of x86")
    others = [path for path in commands() if target_of(path) in ("", "scalar") and path.exists()]
    assert others, "the build holds no objects"
    allowed = {"permission.cpp.o"}
    guilty = {}
    for path in others:
        code = VEX.findall(output(tool("objdump"), "-d", "--no-show-raw-insn", path))
        if code and path.name not in allowed:
            guilty[path.name] = sorted(set(code))[:5]
    assert not guilty, guilty


def test_only_targets_are_compiled_with_vector_flags():
    """Objects made for link-time optimisation hold no code to look at, so the commands are read as well."""
    for path, command in commands().items():
        target = target_of(path)
        flags = re.findall(r" (-m(?:avx|fma|f16c|amx|bmi|sse4|arch|tune)\S*)", command)
        assert target not in ("", "scalar") or not flags, f"{path.name}: {flags}"
        assert "-ffp-contract=off" in command, path.name
        assert not re.search(r" -(Ofast|ffast-math|funsafe-math-optimizations|fassociative-math)\b", command), path.name
        assert not target or not re.search(r" -flto(?!=?off)", command), path.name


def test_the_extension_exports_only_its_entry():
    extension = pathlib.Path(tessel._C.__file__)
    if STANDS_IN or extension.suffix != ".so":
        pytest.skip("this is PyTorch's extension")
    names = [
        line.split()[-1] for line in output(tool("nm"), "-D", "--defined-only", extension).splitlines() if line.split()
    ]
    strangers = [
        n
        for n in names
        if n not in ("PyInit__C", "_init", "_fini") and not n.startswith(("_ZTI", "_ZTS", "_ZSt", "_ZNSt"))
    ]
    assert not strangers, strangers[:20]


# every op has a spec


# what is no arithmetic and is tested where its subject is
ELSEWHERE = {
    "test_autograd.py": """backward detach_ register_hook register_post_accumulate_grad_hook requires_grad_
        retain_grad""",
    "test_tensor.py": """dim item numel nelement element_size size stride storage_offset tolist numpy data_ptr
        is_contiguous can_cast promote_types result_type from_dlpack from_numpy frombuffer""",
    "test_cuda.py": "cuda",
    "test_linalg.py": "ldl_factor ldl_factor_ex ldl_solve eig eigvals",
    "test_fft.py": "stft istft",
    "test_legacy.py": """new apply_ map_ map2_ storage storage_type resize resize_as to_dense pin_memory record_stream
        cfloat cdouble""",
}

# a name that says the same as another; its spec stands under the other
SAME = dict(
    pair.split("=")
    for pair in """absolute=abs arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctan2=atan2
    arctanh=atanh concatenate=cat fix=trunc ger=outer greater=gt greater_equal=ge less=lt less_equal=le multiply=mul
    negative=neg not_equal=ne row_stack=vstack subtract=sub true_divide=div""".split()
)


@pytest.mark.skipif(not hasattr(tessel._C, "_registry"), reason="this package keeps no list of its ops")
def test_every_public_op_has_a_spec():
    spoken = {spec.short for spec in every_spec()}.union(*(names.split() for names in ELSEWHERE.values()))
    hidden = {"private", "optim"}
    absent = set()
    for where, signature, *_ in tessel._C._registry():
        name = signature.split("(")[0]
        plain = name.rstrip("_") if not name.endswith("__") else name
        known = {name, plain, SAME.get(plain, plain), plain.removeprefix("linalg_"), plain.removeprefix("special_")}
        if where not in hidden and not name.startswith("_") and not known & spoken:
            absent.add(name)
    assert not absent, f"{len(absent)} ops have no spec: {' '.join(sorted(absent))}"


# types


@pytest.mark.skipif(not (ROOT / "python/tessel").exists(), reason="no sources here")
def test_stubs_are_what_the_signatures_say():
    run = subprocess.run([sys.executable, ROOT / "tools/stubs.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# what mypy's --strict means for a single module
STRICT = """check_untyped_defs disallow_any_generics disallow_incomplete_defs disallow_subclassing_any
    disallow_untyped_calls disallow_untyped_decorators disallow_untyped_defs extra_checks strict_equality
    warn_return_any warn_unused_ignores""".split()


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
@pytest.mark.skipif(not (ROOT / "python/tessel").exists(), reason="no sources here")
def test_types(tmp_path):
    """The package and a program that uses it, as strictly as PyTorch's own stubs allow; the examples by --strict."""
    sources = ROOT / "python"  # not where it is installed: mypy searches no site-packages that it is pointed at
    examples = sorted((ROOT / "examples").glob("*.py"))
    settings = [f"[mypy-{','.join(path.stem for path in examples)}]", *(f"{name} = true" for name in STRICT)]
    settings += ["disable_error_code = import-untyped,import-not-found,unused-ignore"]  # what else is installed, or not
    (tmp_path / "settings.ini").write_text("\n".join(["[mypy]", *settings]))
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "--no-implicit-reexport"]
    mypy += ["--config-file", str(tmp_path / "settings.ini")]
    run = subprocess.run(
        [*mypy, str(sources / "tessel"), str(ROOT / "tests" / "typed_program.py"), *map(str, examples)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(sources)},
    )
    assert run.returncode == 0, run.stdout + run.stderr


# style


SOURCES = [f for f in ("csrc", "python", "benchmarks", "examples", "tests", "tools") if (ROOT / f).is_dir()]
UNDONE = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b")
# a person's or a machine's own folders
HOMES = re.compile(r"""["'\s=:(](/(?:root|home|Users|work)/\w)""")


@of_files(*SOURCES)
def test_style(path):
    text = path.read_text()
    name = path.stem.lower()
    assert not re.fullmatch(r"(utils?|commons?|helpers?|misc)", name) and not re.search(
        r"_(impl|v\d|helpers?|utils?|common)$", name
    ), "a name that says nothing"
    assert not UNDONE.search(text), "something is left to do"
    assert not HOMES.search(text), f"names a folder of one machine: {HOMES.search(text)[1]}"
    assert not re.search(r"[ \t]+$", text, re.M), "blanks at the end of a line"
    assert "\t" not in text, "a tab"
    assert text == "" or text.endswith("\n"), "no newline at the end"
    if path.suffix == ".py":
        assert text == "" or re.match(r"(#![^\n]*\n)?([#][^\n]*\n)*[rR]?(\"\"\"|''')", text), (
            "opens without saying what is here"
        )
    else:
        says = re.match(r"//", text) or re.match(rf'#include "\S*\b{path.stem}\.h"', text)  # its header has said it
        assert says, "opens without saying what is here"


@pytest.mark.parametrize("path", sorted((ROOT / "csrc").rglob("*.h")), ids=lambda p: str(p.relative_to(ROOT)))
def test_headers_are_guarded(path):
    assert "#pragma once" in path.read_text()
