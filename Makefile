PYTHON ?= python3
PORT ?= 8000
OUT ?= runs/hearing
MODEL =

BIN := .venv/bin
INSTALLED := .venv/.installed

# As in the image, where it is installed (Debian: libtcmalloc-minimal4): memory stays flat under load.
TCMALLOC := $(firstword $(wildcard /usr/lib/*/libtcmalloc_minimal.so.4))

# glibc keeps freed buffers instead of returning them: a quarter less time per step on two cores.
KEEP_BUFFERS := GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 \
	MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=500000000

.DEFAULT_GOAL := help
.PHONY: help install serve test check train lock

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

install: $(INSTALLED) ## create .venv from requirements.lock (every other target does)

# Python compiles what is imported: pip would take a minute more for all of it.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

serve: $(INSTALLED) ## serve the bundled checkpoint on 127.0.0.1 (PORT=8000; MODEL=: a folder of checkpoints)
	$(if $(TCMALLOC),LD_PRELOAD=$(TCMALLOC)) $(BIN)/audiodiff serve $(if $(MODEL),--model checkpoints/$(MODEL) )--host 127.0.0.1 --port $(PORT) --log-format console

# One thread each: on a busy machine, threads that wait for each other make some tests take ten times as long.
# Three workers for two cores: tests of servers wait for much of their time.
test: $(INSTALLED) ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile

check: $(INSTALLED) ## run linters, the type checker and the tests, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

train: $(INSTALLED) ## train the bundled checkpoint's recipe (ESC50=, CLOTHO=, SOUNDS=, AUDIOCAPS=: folders; TEACHER=: a file; OUT=)
	$(KEEP_BUFFERS) $(BIN)/python -m training train --recipe hearing --output $(OUT) \
		$(if $(ESC50),--esc50 $(ESC50)) $(if $(CLOTHO),--clotho $(CLOTHO)) \
		$(if $(SOUNDS),--sounds $(SOUNDS)) $(if $(AUDIOCAPS),--audiocaps $(AUDIOCAPS)) \
		$(if $(TEACHER),--teacher $(TEACHER))

lock: ## resolve pyproject.toml anew and write requirements.lock
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/pip install 'setuptools>=77' '.[dev]'
	build/lock/bin/pip freeze --all --exclude audiodiff --exclude pip \
		| sed -E '/^(cuda-|nvidia-|triton=)/s/$$/ ; platform_system == "Linux"/' > requirements.lock
