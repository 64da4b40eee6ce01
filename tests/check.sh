#!/bin/sh
# Everything that `make test` does not reach: sanitizers, 64-bit Arm, the CUDA half, every instruction set.
#
#   sh tests/check.sh            all parts, then a summary; status 1 unless every part passed
#   sh tests/check.sh isa arm    these parts only
#
# A part that cannot run has failed, with one exception said out loud: no nvcc, no CUDA compile. As root on Debian
# and Ubuntu missing tools are installed. Runs from `make check`, which made .venv with the tests' requirements.
set -eu
cd "$(dirname "$0")/.."
bin=${VENV:-.venv}/bin
build=build/check
skipped=75  # the status of a part that is not for this machine (EX_TEMPFAIL)

# need COMMAND PACKAGE: the command is there, if need be after installing the package
need() {
  command -v "$1" >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "check: installing $2 for $1"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
  fi
  command -v "$1" >/dev/null 2>&1 || { echo "check: $1 is missing; it comes with: apt-get install $2" >&2; exit 1; }
}

# install NAME: tessel, built in a folder of its own, into build/check/NAME/site
install() {
  SKBUILD_BUILD_DIR=$build/$1/objects "$bin/python" -m pip install --quiet --no-build-isolation --no-deps --upgrade \
    --target "$build/$1/site" .
}

# cpp_tests NAME OPTIONS...: the engine and its C++ tests, built in build/check/NAME/cpp, and run
cpp_tests() {
  folder=$build/$1/cpp
  shift
  "$bin/cmake" -S . -B "$folder" -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/$bin/ninja" -DTESSEL_CPP_TESTS=ON "$@"
  "$bin/cmake" --build "$folder"
  "$bin/ctest" --test-dir "$folder" --output-on-failure --no-tests=error
}

# The whole test suite on every instruction set that this machine has. TESSEL_ISA caps what the engine picks.
part_isa() {
  for isa in scalar avx2 avx512 avx512bf16 amx; do
    case $isa in
      scalar) flags='' ;;
      avx2) flags='avx2 fma f16c' ;;
      avx512) flags='avx512f avx512bw avx512dq avx512vl' ;;
      avx512bf16) flags='avx512f avx512bw avx512dq avx512vl avx512_bf16' ;;
      amx) flags='amx_tile amx_bf16' ;;
    esac
    absent=''
    for flag in $flags; do
      grep -qw "$flag" /proc/cpuinfo || absent="$absent $flag"
    done
    if [ -n "$absent" ]; then
      echo "check: NOT TESTED on this machine: $isa (it has no$absent)"
      continue
    fi
    echo "check: instruction set $isa"
    TESSEL_ISA=$isa "$bin/python" -m pytest -q tests --ignore=tests/peer
  done
}

# The C++ tests, then the whole test suite, over an engine that watches its own memory and arithmetic. test_memory.py is
# left out: what it measures is the sanitizer's memory, not the engine's.
part_sanitizers() {
  cpp_tests sanitizers -DTESSEL_SANITIZE=address,undefined -DTESSEL_PYTHON=ON \
    -DPython_EXECUTABLE="$PWD/$bin/python" -Dpybind11_DIR="$("$bin/python" -m pybind11 --cmakedir)"
  site=$build/sanitizers/site
  rm -rf "$site"
  mkdir -p "$site"
  cp -r python/tessel "$site"
  cp "$build"/sanitizers/cpp/_C*.so "$site/tessel"
  preload=''
  for library in libasan.so libubsan.so libstdc++.so.6; do
    preload="$preload $(${CXX:-g++} -print-file-name=$library)"
  done
  # --capture=sys: what a sanitizer says as it ends the process goes past Python, and would be lost with pytest's files.
  LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
    PYTHONPATH=$site "$bin/python" -m pytest -q --capture=sys tests --ignore=tests/peer --ignore=tests/test_memory.py
}

# The C++ tests for 64-bit Arm, run under qemu: the engine's values against the tests' own references.
part_arm() {
  need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
  need qemu-aarch64 qemu-user
  # qemu-user cannot fork a process that has threads: the tests of that are left out (TESSEL_FORK).
  cpp_tests arm -DTESSEL_PYTHON=OFF -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_CXX_FLAGS=-DTESSEL_FORK=0 \
    '-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;/usr/aarch64-linux-gnu'
}

# The CUDA half, compiled for both generations it is written for. Running it takes a GPU: make cuda, then make test.
part_cuda() {
  if ! command -v nvcc >/dev/null 2>&1; then
    echo 'check: **** THE CUDA HALF IS NOT COMPILED: there is no nvcc on this machine ****'
    exit $skipped
  fi
  export SKBUILD_CMAKE_DEFINE=TESSEL_CUDA=ON CUDAARCHS='80-real;90-real'
  install cuda
  find "$build/cuda/site" -name '*cuda*.so' | grep -q . || { echo 'check: no CUDA library was built' >&2; exit 1; }
}

# A part runs as a process of its own (this script, called with --part), so that its failure ends it and no more.
if [ "${1:-}" = --part ]; then
  "part_$2"
  exit
fi

passed=0 failed=0 left_out=0
summary=''
for part in ${*:-isa sanitizers arm cuda}; do
  echo "check: ---- $part"
  start=$(date +%s)
  status=0
  sh tests/check.sh --part "$part" || status=$?
  case $status in
    0) verdict=passed passed=$((passed + 1)) ;;
    "$skipped") verdict=SKIPPED left_out=$((left_out + 1)) ;;
    *) verdict=FAILED failed=$((failed + 1)) ;;
  esac
  summary="$summary  $part: $verdict ($(($(date +%s) - start)) s)
"
done
printf 'check: summary\n%s' "$summary"
echo "check: $passed passed, $failed failed, $left_out skipped"
[ "$failed" = 0 ]
