# Two commands do everything on a machine with git, Python >= 3.11 and make:
#   make demo    recolor sample photos on the local sandbox and leave a before/after page
#   make test    run all tests
# The rest: make lint | types | wheel-test | release-check | docs | coverage | bench | clean.
# Another Python: make test PYTHON=python3.13

.SHELLFLAGS := -eu -c
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
OLD_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# The first of these that runs and is new enough; empty if none is.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(OLD_ENOUGH)' 2>/dev/null && { echo "$$python"; break; }; done)

.PHONY: help demo test lint format types wheel-test release-check docs coverage bench clean

help:
	@sed -n '2,5s/^# //p' Makefile

demo: $(VENV)/.package
	@$(BIN)/piktid demo --out demo-output $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy --strict piktid_async pytest_piktid.py tests/typing
	@# --verifytypes finds packages through the first python in PATH, whatever --pythonpath says.
	PATH="$(CURDIR)/$(BIN):$$PATH" PYRIGHT_PYTHON_IGNORE_WARNINGS=1 \
		$(BIN)/pyright --verifytypes piktid_async --ignoreexternal

wheel-test: $(VENV)/.pip
	.ci/wheel-test $(BIN)/python

release-check: $(VENV)/.release
	.ci/release-check $(BIN)/python

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "the site is in site/; to read it: $(BIN)/python -m http.server --directory site"

coverage: $(VENV)/.dev
	$(BIN)/coverage run -m pytest -q $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# Everything in about 45 minutes, on a machine that has nothing else to do; AREA="stream acks" for some of it.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.bench $(AREA) $(ARGS)

clean:
	rm -rf $(VENV) build dist demo-output site .coverage .coverage.* .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: the package with its extras for `demo`, the development tools on top for the rest.
# Both are made again when pyproject.toml changes.

$(VENV)/.pip:
	@python="$(PYTHON)"; \
	if ! "$${python:-python3}" -c '$(OLD_ENOUGH)' 2>/dev/null; then \
		found=$$("$${python:-python3}" --version 2>/dev/null || echo none); \
		echo "piktid-async needs Python 3.11 or newer; $${python:-python3} is: $$found." >&2; \
		echo "Install one and name it, for example: make $(or $(MAKECMDGOALS),test) PYTHON=python3.13" >&2; \
		exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { \
		echo "$$python cannot make virtual environments (Debian and Ubuntu: install python3-venv)." >&2; \
		exit 1; }
	@# Dependency groups need pip >= 25.1.
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.package: pyproject.toml $(VENV)/.pip
	$(BIN)/python -m pip install --quiet --editable '.[cli,sandbox]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.package
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(VENV)/.release: pyproject.toml $(VENV)/.pip
	$(BIN)/python -m pip install --quiet --group release
	@touch $@
