# tessel from a bare checkout. `make` alone lists what can be made.
#
# Everything happens in virtual environments of this folder (.venv, .venv-peer) and in build/; nothing outside is
# touched. Stamp files remember what was installed, so that a target whose sources did not change starts at once.

PYTHON ?= python3
VENV := .venv
PEER := .venv-peer
TORCH := 2.13.0

SOURCES := $(shell find csrc python -type f ! -name '*.pyc' ! -name '*.so') $(wildcard CMakeLists.txt cmake/*) pyproject.toml

# scikit-build-core reads these: the build folder is kept, so that only what changed is compiled again.
export SKBUILD_BUILD_DIR ?= build/{wheel_tag}
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifneq ($(shell command -v ccache),)
export CMAKE_C_COMPILER_LAUNCHER ?= ccache
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
export CMAKE_CUDA_COMPILER_LAUNCHER ?= ccache
endif

PIP_INSTALL := -m pip install --quiet
INSTALL := $(VENV)/bin/python $(PIP_INSTALL) --no-build-isolation

.PHONY: help demo test check bench peer wheel cuda clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    LeNet-5 learns to read handwritten digits (examples/digits.py)'
	@echo 'make test    the tests; more for pytest: make test TEST="-k softmax -x"'
	@echo 'make check   sanitizers, 64-bit Arm, CUDA compile, every instruction set'
	@echo 'make bench   speed beside PyTorch $(TORCH), into README.md and docs/; make bench BENCH="--quick --only conv"'
	@echo 'make peer    operations, modules and optimizers beside PyTorch $(TORCH), by its own databases'
	@echo 'make wheel   dist/tessel-*.whl'
	@echo 'make cuda    installs tessel with its CUDA half into $(VENV) (needs nvcc)'
	@echo 'make clean   removes what all of these made'
	@echo 'PYTHON=python3.12 chooses the interpreter, CXX=clang++ the compiler.'

demo: $(VENV)/.demo
	$(VENV)/bin/python examples/digits.py

test: $(VENV)/.test
	$(VENV)/bin/python -m pytest tests --ignore=tests/peer $(TEST)

check: $(VENV)/.test
	sh tests/check.sh

# The table in the README is of a full run only; with options the figures go to build/bench.
bench: $(PEER)/.ready
	$(PEER)/bin/python -m benchmarks $(if $(BENCH),$(BENCH),--readme README.md --output docs)

peer: $(PEER)/.ready
	$(PEER)/bin/python -m tests.peer.optimdb
	$(PEER)/bin/python -m tests.peer --modules
	$(PEER)/bin/python -m tests.peer $(TEST)

wheel: $(VENV)/.wheel
	@ls -l dist/*.whl

cuda: export SKBUILD_BUILD_DIR = build/cuda-{wheel_tag}
cuda: export SKBUILD_CMAKE_DEFINE = TESSEL_CUDA=ON
cuda: $(VENV)/.ready
	@command -v nvcc >/dev/null || { echo 'make cuda needs nvcc (the CUDA toolkit) in the path.' >&2; exit 1; }
	rm -f $(VENV)/.demo $(VENV)/.test
	$(INSTALL) '.[test]'

clean:
	rm -rf build dist $(VENV) $(PEER)

# The environment with all that the build asks for. Build isolation is off: its throw-away folder would give every
# build other include paths, and neither ninja nor ccache would know anything again.
$(VENV)/.ready: pyproject.toml tools/preflight
	@tools/preflight $(PYTHON)
	@$(VENV)/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo 'tessel: fetching the build tools into $(VENV)'
	@$(VENV)/bin/python $(PIP_INSTALL) cmake ninja $$($(VENV)/bin/python tools/build_requirements.py)
	@touch $@

# tessel and one of its extras: .venv/.demo, .venv/.test
$(VENV)/.demo $(VENV)/.test: $(VENV)/.%: $(VENV)/.ready $(SOURCES)
	@echo 'tessel: building on $(CMAKE_BUILD_PARALLEL_LEVEL) cores (the first time takes minutes)'
	@$(INSTALL) '.[$*]'
	@touch $@

$(VENV)/.wheel: $(VENV)/.ready $(SOURCES) README.md LICENSE
	@rm -rf dist
	@$(VENV)/bin/python -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .
	@touch $@

# tessel beside PyTorch: the CPU build, which PyPI does not have, from where pip is set to look or from PyTorch's own.
$(PEER)/.ready: $(VENV)/.wheel
	@$(PEER)/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(PEER)
	@$(PEER)/bin/python -c 'import torch, sys; sys.exit(not torch.__version__.startswith("$(TORCH)"))' 2>/dev/null \
	  || $(PEER)/bin/python $(PIP_INSTALL) 'torch==$(TORCH)+cpu' 2>/dev/null \
	  || $(PEER)/bin/python $(PIP_INSTALL) --index-url https://download.pytorch.org/whl/cpu 'torch==$(TORCH)' \
	  || { echo 'PyTorch $(TORCH) for the CPU could not be fetched. Put it into $(PEER) in another way, such as' >&2; \
	       echo '  $(PEER)/bin/pip install torch==$(TORCH)      (from PyPI: larger, it brings CUDA along)' >&2; \
	       echo 'and run this again; or run `python -m benchmarks --rival-python PATH` with one that has it.' >&2; exit 1; }
	@$(PEER)/bin/python $(PIP_INSTALL) --force-reinstall --no-deps dist/tessel-*.whl
	@$(PEER)/bin/python $(PIP_INSTALL) "$$(echo dist/tessel-*.whl)[test,bench]" expecttest array-api-strict
	@touch $@
