# make run   set up and open the page on http://127.0.0.1:7860 (PORT and HOST override)
# make test  set up and pass every test
PYTHON ?= python3
BIN := .venv/bin
KINDS := surgical kn95 cloth scarf sunglasses eye_bar hand upper

.PHONY: run install test check bench fuzz evaluate tables lock ranges packages space site

run: install
	$(BIN)/python app.py

install: .venv/installed

# by WORKERS processes of one thread each, a file of tests at a time
WORKERS ?= 2
test: .venv/tested
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile

check: .venv/tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_imports.py

bench: .venv/tested
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/feeding.py

# try to break it; MUTATIONS, REQUESTS, CLIENTS and MINUTES make it shorter or longer
MUTATIONS ?= 10000
REQUESTS ?= 1000
CLIENTS ?= 50
MINUTES ?= 30
fuzz: .venv/tested
	$(BIN)/python benchmarks/fuzz.py mutations --count $(MUTATIONS)
	$(BIN)/python benchmarks/fuzz.py load --requests $(REQUESTS) --clients $(CLIENTS)
	$(BIN)/python benchmarks/fuzz.py soak --minutes $(MINUTES) --clients $(CLIENTS)

# FERPLUS, CKPLUS and DIFFUSIONFER name folders that hold the data
evaluate: install
	$(BIN)/fer-space test --backbone all,ensemble --data ferplus:$(FERPLUS) --split valid --calibrate --fit-boost --weigh
	$(BIN)/fer-space test --backbone all,ensemble --data ferplus:$(FERPLUS)+ckplus:$(CKPLUS)+diffusionfer:$(DIFFUSIONFER) --split valid --weigh posed
	$(BIN)/fer-space test --backbone all,ensemble --data ferplus:$(FERPLUS) --without-near-duplicates --record --summary docs
	for kind in $(KINDS); do \
		$(BIN)/fer-space test --backbone all --data ferplus:$(FERPLUS) --occlude $$kind --record || exit; \
	done
	$(BIN)/fer-space test --backbone all --data fer2013:$(FERPLUS) --record
	for kind in ckplus ckplus-peaks; do \
		$(BIN)/fer-space test --backbone all --data $$kind:$(CKPLUS) --record || exit; \
	done
	$(BIN)/fer-space test --backbone all --data diffusionfer:$(DIFFUSIONFER) --record
	$(BIN)/fer-space test --backbone all --data diffusionfer:$(DIFFUSIONFER) --detect libfacedetection --record

# the tables of README and docs, from what is stored
tables: install
	$(BIN)/python -m docs.tables

# the exact packages of a Space: Python 3.12 and a torch that ZeroGPU offers
lock: .venv/tested
	printf 'torch<2.12\ngradio==%s\n' $$(sed -n 's/^sdk_version: //p' README.md) > .venv/space.txt
	$(BIN)/uv pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_28 \
		--constraint .venv/space.txt --custom-compile-command "make lock" \
		--no-annotate --output-file requirements.lock requirements.txt

# both ends of every range: the fast tests with the oldest packages, then with the newest; half an hour each
ranges: .venv/tested
	for end in lowest-direct highest; do \
		$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/$$end || exit; \
		$(BIN)/uv pip install --quiet --python .venv/$$end --resolution $$end -e ".[app,openvino,video,train,dev]" || exit; \
		.venv/$$end/bin/python -m pytest -o filterwarnings= $(RANGES) || exit; \
	done
RANGES ?= tests -m "not browser" --ignore=tests/ui --ignore=tests/docs --ignore=tests/packages

# dist/ gets wheel and sdist, and the wheel of the weights
packages: .venv/tested
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --wheel --outdir dist packages/weights

# hub/ gets one folder a model and the Space, ready for upload
space: install
	rm -rf hub
	$(BIN)/fer-space publish hub --space --dry-run

# docs/ as a site
site: .venv/tested
	$(BIN)/mkdocs build --strict --quiet --site-dir .venv/site

.venv/installed: requirements.txt pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[app,openvino,video,train]"
	touch $@

.venv/tested: .venv/installed requirements-insightface.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[app,openvino,video,train,docs,dev]" -r requirements-insightface.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "insightface>=2.1,<3"
	touch $@
