# make demo | make test | make check | make bench | make readme: each sets up what it needs in .venv, from Python 3.11-3.13 alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint check bench readme clean

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13, which TensorFlow needs: run make PYTHON=python3.13"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/ready: $(VENV)/installed
	$(PIP) --group check
	@touch $@

# Convert the shipped checkpoint, classify the sample images with the result, measure both side by side.
demo: $(VENV)/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; set -ex; \
	cifar-export --format tflite --quantize int8 --eval-split test-sample --output .demo --force; \
	cifar-classify train/cifar_train/samples/images --model .demo/seed-cnn-int8.tflite; \
	cifar-bench .demo/seed-cnn-int8.tflite --against train/cifar_train/checkpoints/seed-cnn.keras --quick

test: $(VENV)/ready
	$(BIN)/pytest

lint: $(VENV)/ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m cifar_bench.readme --check

check: lint test

# Measure the packaged models beside the shipped checkpoint, on the shipped sample; a few minutes on an idle machine.
bench: $(VENV)/installed
	$(BIN)/cifar-bench --against train/cifar_train/checkpoints/seed-cnn.keras

# Draws README's tables, pictures and command outputs again, from benchmarks/reports and docs/outputs.
readme: $(VENV)/installed
	$(BIN)/python -m cifar_bench.readme

clean:
	rm -rf $(VENV) .demo build dist
