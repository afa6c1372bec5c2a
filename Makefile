# make demo | make test | make check | make bench | make battery | make models | make web | make readme | make hardening: each sets up what it needs in .venv, from Python 3.11-3.13 alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint check bench battery models readers phones board web readme hardening clean

$(VENV)/installed: pyproject.toml runtime/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13, which TensorFlow needs: run make PYTHON=python3.13"; exit 2; }
	@echo "make: installing TensorFlow, LiteRT, onnxruntime and what they need into $(VENV): about 2.6 GB, once;"
	@echo "make: pip prints nothing until it is done, some minutes on a fast connection"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable runtime --editable '.[all]'
	@touch $@

$(VENV)/ready: $(VENV)/installed
	$(PIP) --group check
	@touch $@

# Convert the shipped checkpoint, classify the sample images with the result, measure both side by side.
demo: $(VENV)/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; set -ex; \
	cifar-export --format tflite --quantize int8 --eval-split test-sample --output .demo --force; \
	cifar-classify train/cifar_data/samples/images --model .demo/edge-s-int8.tflite; \
	cifar-bench .demo/edge-s-int8.tflite --against train/cifar_data/checkpoints/edge-s.keras --quick

test: $(VENV)/ready
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --durations 25

lint: $(VENV)/ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m cifar_maintain.readme --check
	$(BIN)/python -m cifar_maintain.api_page --check

check: lint test

# Measure the packaged models beside the shipped checkpoint, on the shipped sample; a few minutes on an idle machine.
bench: $(VENV)/installed
	$(BIN)/cifar-bench --against train/cifar_data/checkpoints/edge-s.keras

# Campaigns that try to break the product: QUICK=1 5 minutes; else on to the counts of docs/reliability.md, five hours of a core.
hardening: $(VENV)/ready
	PYTHONPATH=tests $(BIN)/python -m hardening $(if $(QUICK),--seed $(or $(SEED),0),--record benchmarks/reports/hardening.json) \
	$(if $(MINUTES),--minutes $(MINUTES)) $(if $(FRESH),--fresh) $(if $(ONLY),--only $(ONLY))

# A trained model of every kind that people bring, exported and judged beside the plain converters; an hour or two, resumable.
battery: $(VENV)/ready
	$(BIN)/python -m cifar_maintain.battery

# Every trained checkpoint as float32 and int8, TFLite and ONNX, each judged before it is published into exported/,
# with its temperature, threshold and robustness, for which it fetches CIFAR-10.
models: $(VENV)/installed
	$(BIN)/cifar-data fetch
	status=0; for checkpoint in train/cifar_data/checkpoints/*.keras models/*.keras; do \
	$(BIN)/cifar-export $$checkpoint --format tflite,onnx --quantize none,int8 --confidence --robustness 1000 \
	--output exported --force || status=$$?; \
	done; exit $$status

# Other tools that open our files, beside the project: their versions of what we need differ.
readers: .venv-readers/ready

.venv-readers/ready: pyproject.toml
	$(PYTHON) -m venv .venv-readers
	.venv-readers/bin/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade pip
	.venv-readers/bin/python -m pip install --quiet --quiet --disable-pip-version-check --group readers
	@touch $@

# What MediaPipe's own resizing changes, measured again: docs/phones.md and its report.
phones: $(VENV)/installed readers
	$(BIN)/cifar-export --quantize int8-uint8-io,int8-float-io --output-kind probabilities --eval-split test-sample --output .demo --force
	$(BIN)/python -m cifar_maintain.phones .demo/edge-s-int8-uint8-io.tflite .demo/edge-s-int8-float-io.tflite

# The runtime on emulated 64-bit Arm processors, from the wheels that a board without a network gets: docs/board.md.
board: $(VENV)/installed
	$(BIN)/python -m cifar_maintain.arm_linux --folder .board

# A page that classifies in the visitor's browser with the shipped model, in .web/; any static host serves it.
web: $(VENV)/installed
	$(BIN)/python -c 'from cifar_export.web.site import write_site; from cifar_runtime.classifier import default_model; \
	site = write_site(default_model("onnx"), ".web", force=True); \
	print(f"{site.folder}: {len(site.files)} files, {site.size_bytes:,} bytes, for {site.model} with {site.engine[0]} {site.engine[1]}")'
	@echo "next: $(BIN)/python -m http.server --directory .web"

# Draws the tables, pictures and command outputs of README and docs again, from benchmarks/reports and docs/outputs, and docs/api.md from the docstrings.
readme: $(VENV)/installed
	$(BIN)/python -m cifar_maintain.readme
	$(BIN)/python -m cifar_maintain.api_page

clean:
	rm -rf $(VENV) .venv-readers .demo .board .web exported build dist
