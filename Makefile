# make demo   set up, build both benchmarks, evaluate the built-in models, publish and print the leaderboard
# make test   set up, lint, type-check, run all tests but the slow ones, and the demo small in a temporary folder
# make test-all   the same with all tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

SHIPPED := tiny tiny-contrastive tiny-dual-encoder
PHOTO_MODELS := random constant colour-histogram minilm efficientnet-lite0 conse $(SHIPPED:%=elva:%)

# Processes that share the tests; each computes on one thread.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

.PHONY: demo test test-all lint type unit unit-all coverage mutants demo-small docs test-lowest entries photo-entries board clean

demo: $(READY)
	$(BIN)/mrbench demo --output demo --entries leaderboards --entries docs/audit

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

# The share of the code that the tests without the slow ones run, and the files that they run least.
coverage: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[coverage]'
	$(PYTEST) -m "not slow" --cov --cov-report=
	$(BIN)/coverage report --sort cover

# Small faults in measures, statistics, judges and rewards, and the share that their tests find. Only what changed since
# the last call is tested again. `.venv/bin/mutmut results` lists the mutants that survive, `mutmut show NAME` shows one.
mutants: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[mutation]'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children $(JOBS)
	$(BIN)/mutmut results --all true | $(BIN)/python tools/count_mutants.py

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
	for suite in emoji scenes; do for model in $(SHIPPED); do \
	  $(BIN)/mrbench evaluate demo/$$suite --model elva:$$model --output demo/results/$$suite/elva-$$model --overwrite; \
	done; done
	$(BIN)/mrbench leaderboard enter demo/results/*/* --benchmark demo/emoji --benchmark demo/scenes \
	  --output leaderboards/entries --overwrite
	for suite in emoji scenes; do $(BIN)/mrbench audit demo/$$suite --output docs/audit/$$suite; done
	$(MAKE) board

# Entries on suites of photos, which are not in the repository: make photo-entries SUITES="coco flickr", folders of
# `mrbench build captions` in the working folder. leaderboards/README.md says how they and the rows of heads were made.
photo-entries: $(READY)
	for suite in $(SUITES); do for model in $(PHOTO_MODELS); do \
	  $(BIN)/mrbench evaluate $$suite --model $$model --output demo/photos/$$suite/$$(echo $$model | tr : -) --overwrite; \
	done; done
	$(BIN)/mrbench leaderboard enter demo/photos/*/* $(foreach suite,$(SUITES),--benchmark $(suite)) \
	  --output leaderboards/entries --overwrite
	$(MAKE) board

# The board of the committed entries, as Markdown and as a site in demo/board.
board: $(READY)
	$(BIN)/mrbench leaderboard build leaderboards docs/audit --output demo/board --overwrite
	cp demo/board/leaderboard.md leaderboards/BOARD.md

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[build,captions,elva,models,test]'
	touch $@

clean:
	rm -rf $(VENV) demo site
