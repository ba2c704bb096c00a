# make demo   set up, build both benchmarks, evaluate the built-in models, publish and print the leaderboard
# make test   set up, lint, type-check, run all tests but the slow ones, and the demo small in a temporary folder
# make test-all   the same with all tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# Processes that share the tests; each computes on one thread.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

.PHONY: demo test test-all lint type unit unit-all demo-small docs test-lowest entries clean

demo: $(READY)
	$(BIN)/mrbench demo --output demo --entries leaderboards/entries

test: lint type unit demo-small

test-all: lint type unit-all demo-small

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(PYTEST) -m "not slow"

unit-all: $(READY)
	$(PYTEST)

demo-small: $(READY)
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(BIN)/mrbench demo --small --output "$$folder/demo"

# The documentation as a site in site/; a warning is an error.
docs: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	$(BIN)/sphinx-build -q -W --keep-going docs site

# The lowest versions of all dependencies that pyproject.toml permits, in an environment of their own.
test-lowest:
	tests/dependencies/lowest.sh

# The committed leaderboard entries and audits: both suites at their default size, every model that needs no download.
entries: $(READY)
	$(BIN)/mrbench demo --output demo
	for suite in emoji scenes; do for model in tiny tiny-contrastive; do \
	  $(BIN)/mrbench evaluate demo/$$suite --model elva:$$model --output demo/results/$$suite/elva-$$model --overwrite; \
	done; done
	mkdir -p leaderboards/entries
	for file in demo/results/*/*/result.json; do \
	  folder=$${file%/result.json}; model=$${folder##*/}; suite=$${folder%/*}; suite=$${suite##*/}; \
	  cp "$$file" "leaderboards/entries/$$suite-$$model.json"; \
	done
	$(BIN)/mrbench leaderboard build leaderboards/entries --output demo/board --overwrite
	cp demo/board/leaderboard.md leaderboards/README.md
	for suite in emoji scenes; do $(BIN)/mrbench audit demo/$$suite --output docs/audit/$$suite; done

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[build,captions,elva,models,test]'
	touch $@

clean:
	rm -rf $(VENV) demo site
