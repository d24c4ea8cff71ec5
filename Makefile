# Two commands do everything on a fresh machine: `make align` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Without a GPU, torch is held at one release so that no CUDA libraries are pulled in by a newer one.
CONSTRAINTS := $(if $(shell command -v nvidia-smi 2>/dev/null),,-c constraints-cpu.txt)
ARGS ?=

.PHONY: setup align smoke submit test test-slow check format bench report clean

setup: .venv/.installed  ## make .venv and install the project into it

.venv/.installed: pyproject.toml constraints-cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[embedded,dev]'
	touch $@

align: setup  ## align the pretrained embedded world model; ends with a table and report.html
	$(BIN)/python recipes/robotwin_align.py $(ARGS)

smoke: setup  ## the same job at its smallest, all stages
	$(BIN)/python recipes/robotwin_align.py --config recipes/configs/smoke.yaml $(ARGS)

submit: setup  ## run on a Ray cluster: make submit ARGS=cluster/settings/NAME.yaml (cluster/README.md)
	PATH="$(CURDIR)/$(BIN):$$PATH" cluster/submit.sh $(ARGS)

test: setup  ## every test that needs neither a GPU nor minutes
	$(BIN)/python -m pytest tests -m "not slow and not gpu" $(ARGS)

test-slow: setup  ## the statistical checks that take minutes
	$(BIN)/python -m pytest tests -m "slow" $(ARGS)

check: setup  ## format, lint, types, import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: setup  ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## compare reward variants and algorithms at equal CPU-seconds, about a quarter of an hour
	$(BIN)/python benchmarks/reward_ablation.py $(ARGS)

report: setup  ## write report.html again: make report ARGS=runs/NAME
	$(BIN)/eva-rl report $(ARGS)

clean:  ## remove the environment and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
