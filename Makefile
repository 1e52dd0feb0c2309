# A new user needs two commands:  make demo  and  make test.  `make help` lists the rest.
# Assumed: Python 3.10+, a C++20 compiler, make. Everything else goes into .venv and build/.

PYTHON ?= python3
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
# Rooms that the acceptance checks beside the clone must find, where these checks are there.
CHECKS ?= ../shared/checks
CHECK_ROOMS ?= core,loader,shards,cli
# make's own default is g++; a machine may have another compiler only.
ifeq ($(origin CXX),default)
  CXX := $(firstword $(foreach name,c++ g++ clang++,$(if $(shell command -v $(name) 2>/dev/null),$(name))) g++)
endif

VENV := .venv
MADE := $(VENV)/.made
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# setuptools takes both from the environment. Our extension holds C++ alone.
SETUP := CC="$(CXX)" CXX="$(CXX)" DCTLOAD_BUILD_JOBS=$(JOBS)
comma := ,

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help setup demo test test-cpp test-python test-checks bench lint lint-python lint-cpp lint-tidy lint-imports types asan tsan fuzz wheel clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1~\2/p' $(MAKEFILE_LIST) | awk -F'~' '{ printf "  %-18s %s\n", $$1, $$2 }'

# ------------------------------------------------------------------------------------------------- environment

$(MADE)/venv:
	@$(PYTHON) -c '' 2>/dev/null || { echo "make: no Python found as '$(PYTHON)'. Install Python 3.10 or newer (Debian, Ubuntu: apt install python3 python3-venv python3-dev) or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: '$(PYTHON)' is older than Python 3.10. Install a newer one, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: '$(PYTHON)' lacks the venv module. Debian, Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || { echo "make: the headers of '$(PYTHON)' (Python.h) are missing. Debian, Ubuntu: apt install python3-dev" >&2; exit 1; }
	@printf '#include <span>\nint main() {}\n' | $(CXX) -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || { echo "make: no C++20 compiler found as '$(CXX)'. Install gcc 11 or clang 14 or newer (Debian, Ubuntu: apt install g++) or name one: make CXX=clang++" >&2; exit 1; }
	@test -x $(PY) || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@mkdir -p $(MADE) && touch $@

CONFIG := setup.py pyproject.toml constraints.txt
SOURCES := $(wildcard csrc/core/*.cc csrc/core/*.h csrc/ops/*.cc csrc/ops/*.h csrc/python/*.cc csrc/python/*.h) csrc/avx2.flags

# Installs when the configuration changed, compiles what changed when only C++ did.
$(MADE)/package: $(CONFIG) $(SOURCES) | $(MADE)/venv
	@$(if $(filter $(CONFIG),$?),\
	  echo "installing dctload into $(VENV) (compiles the core)"; \
	  $(PIP_INSTALL) setuptools pybind11 && $(SETUP) $(PIP_INSTALL) --no-build-isolation --editable .,\
	  echo "compiling what changed in csrc"; $(SETUP) $(PY) -W ignore setup.py --quiet build_ext --inplace)
	@touch $@

# torch before all that asks for it: of PyTorch's own indexes a CUDA or CPU build can be chosen, make TORCH_ARGS="--index-url ...".
TORCH_ARGS ?=
$(MADE)/torch: constraints.txt | $(MADE)/venv
	@echo "installing torch"
	@$(PIP_INSTALL) $(TORCH_ARGS) torch
	@$(PY) -W ignore -c 'import torch; print("torch", torch.__version__)'
	@touch $@

# An extra of pyproject.toml: its packages alone, without building dctload once more.
$(MADE)/extra-%: pyproject.toml constraints.txt | $(MADE)/package
	@echo "installing what '$*' needs"
	@$(PY) -c 'from importlib.metadata import requires; print(*(r.split(";")[0] for r in requires("dctload") if "extra == \"$*\"" in r), sep="\n")' > $@.txt
	@$(PIP_INSTALL) --requirement $@.txt
	@touch $@

setup: $(MADE)/package $(MADE)/torch $(MADE)/extra-test $(MADE)/extra-bench $(MADE)/extra-dev  ## .venv with the package and all tools of a developer

# ------------------------------------------------------------------------------------------------- the two commands

demo: $(MADE)/package $(MADE)/torch $(MADE)/extra-bench  ## what crosses from CPU to GPU, and the loader beside Pillow's, on photographs that come with packages
	@mkdir -p build
	$(PY) -m benchmarks.bandwidth --plot build/bandwidth.png
	$(PY) -m benchmarks.loader --quick
	@$(PY) -m benchmarks.photos build/photos
	@echo "the plot is in build/bandwidth.png; the README's ten lines of Python run on build/photos"

test: test-cpp test-python test-checks  ## all tests: C++, Python, and the acceptance checks where they are there

PYTEST_ARGS ?= -n $(JOBS)
test-python: $(MADE)/package $(MADE)/torch $(MADE)/extra-test  ## pytest alone
	$(PY) -m pytest tests $(PYTEST_ARGS)

test-checks: $(MADE)/package $(MADE)/torch $(MADE)/extra-test
	@if [ -d "$(CHECKS)" ]; then \
	  echo "DCTLOAD_CHECKS=$(CHECK_ROOMS) python -m pytest $(CHECKS) -q"; \
	  DCTLOAD_CHECKS=$(CHECK_ROOMS) $(PY) -m pytest $(CHECKS) -q -p no:cacheprovider; \
	else echo "$(CHECKS) is not there: acceptance checks left out"; fi

# ------------------------------------------------------------------------------------------------- the core alone

# SANITIZE=address,undefined (or thread) builds the same things once more, in a folder of their own.
SANITIZE ?=
BUILD := build/cpp$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
# Not -I: a header of ours must never stand in for a system header of the same name.
CPPFLAGS_CORE := -std=c++20 -iquote csrc/core -iquote csrc/ops -pthread -Wall -Wextra -Wshadow
CXXFLAGS ?= -O2
CXXFLAGS_CORE := $(if $(SANITIZE),-O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all,$(CXXFLAGS))
X86_64 := $(filter x86_64 amd64,$(shell uname -m))

CORE_OBJECTS := $(patsubst csrc/%.cc,$(BUILD)/%.o,$(wildcard csrc/core/*.cc))
OPS_OBJECTS := $(patsubst csrc/%.cc,$(BUILD)/%.o,$(wildcard csrc/ops/*.cc))
CPP_TESTS ?= $(patsubst csrc/tests/%.cc,%,$(wildcard csrc/tests/*_test.cc))
FUZZ_TARGETS ?= $(patsubst csrc/fuzz/%.cc,%,$(wildcard csrc/fuzz/fuzz_*.cc))
TEST_PROGRAMS := $(CPP_TESTS:%=$(BUILD)/tests/%)
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)

$(CORE_OBJECTS) $(OPS_OBJECTS): $(BUILD)/%.o: csrc/%.cc csrc/avx2.flags Makefile
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS_CORE) $(CXXFLAGS_CORE) $(if $(X86_64),$(if $(filter %_avx2.cc,$<),@csrc/avx2.flags)) -MMD -MP -c $< -o $@

$(TEST_PROGRAMS): $(BUILD)/tests/%: csrc/tests/%.cc $(CORE_OBJECTS) $(OPS_OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS_CORE) $(CXXFLAGS_CORE) -MMD -MP $< $(OPS_OBJECTS) $(CORE_OBJECTS) -o $@

$(FUZZ_PROGRAMS): $(BUILD)/fuzz/%: csrc/fuzz/%.cc $(CORE_OBJECTS) $(OPS_OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS_CORE) $(CXXFLAGS_CORE) -fsanitize=fuzzer -MMD -MP $< $(OPS_OBJECTS) $(CORE_OBJECTS) -o $@

.PHONY: cpp-programs fuzz-programs
cpp-programs: $(TEST_PROGRAMS)
fuzz-programs: $(FUZZ_PROGRAMS)

-include $(wildcard $(BUILD)/core/*.d $(BUILD)/ops/*.d $(BUILD)/tests/*.d $(BUILD)/fuzz/*.d)

test-cpp: $(MADE)/venv  ## the C++ tests alone
	@$(MAKE) --no-print-directory -j$(JOBS) cpp-programs
	@failed=; for test in $(CPP_TESTS); do printf '%s: ' $$test; $(BUILD)/tests/$$test || failed="$$failed $$test"; done; \
	  test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

# ------------------------------------------------------------------------------------------------- benchmarks

bench: $(MADE)/package $(MADE)/torch $(MADE)/extra-bench $(MADE)/extra-rivals  ## every benchmark, with all the rivals that can be installed
	$(PY) -m benchmarks.bandwidth
	$(PY) -m benchmarks.decode
	$(PY) -m benchmarks.loader
	$(PY) -m benchmarks.transforms

# ------------------------------------------------------------------------------------------------- lint and types

CPP_FILES = $(wildcard csrc/core/*.cc csrc/core/*.h csrc/ops/*.cc csrc/ops/*.h csrc/python/*.cc csrc/python/*.h csrc/tests/*.cc csrc/tests/*.h csrc/fuzz/*.cc)
TIDY_FILES = $(wildcard csrc/core/*.cc csrc/ops/*.cc)
PACKAGE_TREE := build/package

# What a wheel would hold of Python, as one tree, away from the clone.
.PHONY: package-tree
package-tree: $(MADE)/package
	@rm -rf $(PACKAGE_TREE) && $(PY) -W ignore setup.py --quiet build_py --build-lib $(PACKAGE_TREE)

lint: lint-python lint-cpp lint-tidy lint-imports  ## ruff, clang-format, clang-tidy, and who may import whom

lint-python: $(MADE)/extra-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

lint-cpp: $(MADE)/extra-dev
	$(VENV)/bin/clang-format --dry-run -Werror $(CPP_FILES)

lint-tidy: $(MADE)/extra-dev
	@echo "clang-tidy csrc/core csrc/ops"
	@printf '%s\n' $(filter-out %_avx2.cc,$(TIDY_FILES)) | xargs -P $(JOBS) -I{} $(VENV)/bin/clang-tidy --quiet {} -- $(CPPFLAGS_CORE)
	@$(if $(X86_64),printf '%s\n' $(filter %_avx2.cc,$(TIDY_FILES)) | \
	  xargs -P $(JOBS) -I{} $(VENV)/bin/clang-tidy --quiet {} -- $(CPPFLAGS_CORE) $(shell cat csrc/avx2.flags))

lint-imports: $(MADE)/extra-dev package-tree
	cd $(PACKAGE_TREE) && $(CURDIR)/$(VENV)/bin/lint-imports --config $(CURDIR)/pyproject.toml --no-cache

# Allowed: type aliases, which the stub alone has, and pybind11's metaclass; members of classes are compared.
types: $(MADE)/torch $(MADE)/extra-dev package-tree  ## mypy strict on dctload, and the stub against the module
	cd $(PACKAGE_TREE) && $(CURDIR)/$(PY) -m mypy --config-file $(CURDIR)/pyproject.toml -p dctload
	@sed -nE 's/^([A-Za-z]+): TypeAlias.*|^class ([A-Za-z]+).*/dctload._core.\1\2/p' dctload/_core.pyi > build/stub-allowlist
	$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist build/stub-allowlist --ignore-unused-allowlist dctload._core

# ------------------------------------------------------------------------------------------------- sanitizers and fuzzing

# Python runs in a copy of the sources: the extension lies beside the Python files, and the clone keeps its own.
ASAN := build/asan
ASAN_TESTS ?= tests
ASAN_RUNTIME = $(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libstdc++.so)

asan: $(MADE)/package $(MADE)/torch $(MADE)/extra-test  ## C++ and Python tests under AddressSanitizer and UndefinedBehaviorSanitizer (gcc)
	@case "$$($(CXX) --version)" in *clang*) echo "make: the recipe is gcc's: make asan CXX=g++" >&2; exit 1;; esac
	@test -e "$(firstword $(ASAN_RUNTIME))" || { echo "make: libasan.so is missing (Debian, Ubuntu: it comes with g++; Fedora: dnf install libasan libubsan)" >&2; exit 1; }
	@$(MAKE) --no-print-directory test-cpp SANITIZE=address,undefined
	@mkdir -p $(ASAN) && rm -rf $(ASAN)/dctload $(ASAN)/tests && ln -sfn ../../shared build/shared
	@cp -Rp $(filter-out build dist,$(wildcard *)) $(ASAN)/ && rm -f $(ASAN)/dctload/*.so
	@cd $(ASAN) && DCTLOAD_SANITIZE=address,undefined $(SETUP) $(CURDIR)/$(PY) -W ignore setup.py --quiet build_ext --inplace
	cd $(ASAN) && LD_PRELOAD="$(ASAN_RUNTIME)" ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	  $(CURDIR)/$(PY) -m pytest $(ASAN_TESTS) -q -n $(JOBS) -m "not slow and not no_sanitizer" -p no:cacheprovider --capture=sys

TSAN_TESTS ?= $(filter batch_test stored_test unpack_ops_test resample_test,$(CPP_TESTS))
tsan: $(MADE)/venv  ## the C++ tests of what has threads under ThreadSanitizer
	@test -n "$(TSAN_TESTS)" || { echo "make: csrc/tests/batch_test.cc is missing" >&2; exit 1; }
	@$(MAKE) --no-print-directory test-cpp SANITIZE=thread CPP_TESTS="$(TSAN_TESTS)"

FUZZ_CXX ?= clang++
FUZZ_SANITIZE := fuzzer-no-link,address,undefined
FUZZ_BUILD := build/cpp-$(subst $(comma),-,$(FUZZ_SANITIZE))

fuzz:  ## every fuzz target for FUZZ_SECONDS (60), starting from csrc/fuzz/corpus; needs clang
	@command -v $(FUZZ_CXX) >/dev/null || { echo "make: fuzzing needs clang. Debian, Ubuntu: apt install clang libclang-rt-14-dev" >&2; exit 1; }
	@mkdir -p build/fuzz && printf 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, decltype(sizeof 0)) { return 0; }' | \
	  $(FUZZ_CXX) -fsanitize=fuzzer,address -x c++ - -o build/fuzz/probe 2>/dev/null || { echo "make: $(FUZZ_CXX) has no libFuzzer. Debian, Ubuntu: apt install libclang-rt-14-dev (with the number of your clang)" >&2; exit 1; }
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-programs CXX=$(FUZZ_CXX) SANITIZE=$(FUZZ_SANITIZE)
	@failed=; for target in $(FUZZ_TARGETS); do \
	  mkdir -p build/fuzz/corpus/$$target build/fuzz/found; seeds=csrc/fuzz/corpus/$$target; dict=csrc/fuzz/$$target.dict; \
	  echo "$$target, $(FUZZ_SECONDS) s"; \
	  $(FUZZ_BUILD)/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=build/fuzz/found/$$target- $$(test -f $$dict && echo -dict=$$dict) \
	    build/fuzz/corpus/$$target $$(test -d $$seeds && echo $$seeds) || { \
	    echo "$$target failed; the input is in build/fuzz/found. Run it again: $(FUZZ_BUILD)/fuzz/$$target FILE" >&2; failed=1; }; \
	done; test -z "$$failed"

# ------------------------------------------------------------------------------------------------- packages

wheel: $(MADE)/extra-dev  ## sdist and wheel in dist/
	@rm -rf dist build/lib* build/bdist*
	$(SETUP) $(PY) -m build --no-isolation --outdir dist

clean:  ## removes what was built; .venv stays, and is filled anew where needed
	rm -rf build dist *.egg-info dctload/*.so $(MADE) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
