# `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo test fast coverage portable mutants fuzz test-gpu check-cupy test-torch theorems lint types docs equations \
        locality field estimators claims papers-runs notebook notebooks playground site site-serve test-site bench bench-all bench-gpu memory \
        shares accuracy golden release-check clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
SITE_STAMP := $(VENV)/.site
NOTEBOOK_STAMP := $(VENV)/.notebook
# one process a core, and one BLAS thread in each of them
# compiled files stay for the next run, and for the processes that tests start, even if the environment forbids them
unexport PYTHONDONTWRITEBYTECODE
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist worksteal

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "nobackprop needs Python 3.11 or newer; found $$($(PYTHON) --version). Say: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## make .venv with everything in it (the other targets do this themselves)

demo: $(STAMP)  ## the main job: six learning rules side by side on real digits, a table and a figure
	@$(BIN)/nobackprop compare

test: $(STAMP) lint types  ## lint, types, and every test that needs no GPU
	$(PYTEST) -m 'not gpu'

fast: $(STAMP)  ## the inner loop: every test that takes less than a second or two, with fewer examples
	HYPOTHESIS_PROFILE=fast $(PYTEST) -m 'not gpu and not slow'

coverage: $(STAMP)  ## which lines and branches of the package the tests run: a table, and pages in htmlcov/
	$(PYTEST) -m 'not gpu' --cov --cov-report=term --cov-report=html

portable: $(STAMP)  ## the numeric tests on other processors' kernels, other Pythons, oldest and newest versions
	$(BIN)/python tests/portable.py

mutants: $(STAMP)  ## break the code in a hundred ways, and see that the tests notice
	$(BIN)/python tests/mutants.py

fuzz: $(STAMP)  ## damaged files for every reader, for an hour (needs: pip install atheris)
	$(BIN)/python -m tests.fuzz --seconds 400 --seed 1

ends: $(STAMP)  ## end compare, papers and sweep in every way at random moments, and see that nothing is lost (half an hour)
	$(BIN)/python tests/ends.py

test-gpu: $(STAMP)  ## the tests that need CuPy and a CUDA device
	$(BIN)/python -m pytest -m gpu

check-cupy: $(STAMP)  ## without a GPU: every call of the tests against the signatures of two CuPys (700 MB, into .cupy/)
	$(BIN)/python tests/check_cupy.py

test-torch: $(STAMP)  ## install PyTorch (200 MB or more) into .venv, and run the tests that need it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[torch]'
	$(BIN)/python -m pytest -m torch

theorems: $(STAMP)  ## the theorems alone, with ten times as many examples
	HYPOTHESIS_PROFILE=thorough $(PYTEST) tests/theorems

lint: $(STAMP)  ## ruff (settings: pyproject.toml), and the contract that imports go one way (setup.cfg)
	$(BIN)/ruff check .
	$(BIN)/lint-imports

# two sets of options, so two caches: with one, each run would throw away what the other has found
types: $(STAMP)  ## mypy: strict on the package, and on the tests what they annotate
	$(BIN)/mypy --strict nobackprop
	$(BIN)/mypy --cache-dir .mypy_cache/tests tests noxfile.py setup.py

docs: equations locality field claims  ## write the generated pages again

equations: $(STAMP)  ## docs/equations.md: where each equation stands in code, tests and notebooks
	$(BIN)/python -m nobackprop.studies.equations docs/equations.md

locality: $(STAMP)  ## docs/locality.md: what each rule reads, measured
	$(BIN)/python -m nobackprop.studies.locality docs/locality.md

estimators: $(STAMP)  ## docs/estimators.md: time the estimators' fit anew, next to scikit-learn's networks
	$(BIN)/python -m nobackprop.studies.estimators --time docs/estimators.md

field: $(STAMP)  ## docs/field.md: which rules are equal, and what a step of each costs
	$(BIN)/python -m nobackprop.studies.field docs/field.md

claims: $(STAMP)  ## docs/claims.md and docs/results.md, from the stored results
	$(BIN)/python -m nobackprop.experiments.claims docs/claims.md
	$(BIN)/python -m nobackprop.experiments.report docs/results.md

# those that say most come first
PAPERS ?= las:order-rates las:order las:many-classes-rates las:many-classes las:figure-4 las:table-2-mnist las:variants \
  asap:table-5.2-longer asap:table-5.3 asap:figure-5.1 asap:variants al:table-6 al:table-7 al:table-5 al:table-3 las:table-2-cifar-10 las:table-1-cifar-10 asap:figure-5.4
SCALE ?= small
papers-runs: $(STAMP)  ## the papers' tables and figures, one after another; goes on where it stopped (hours; NOBACKPROP_DATA names the folder)
	@for name in $(PAPERS); do out=runs/papers/$$(echo $$name | tr : -); \
	  if [ -f $$out/results.json ]; then $(BIN)/nobackprop papers run --resume $$out; \
	  else $(BIN)/nobackprop papers run $$name --scale $(SCALE) --out $$out; fi || exit; done

playground: $(STAMP)  ## build the playground alone into site/, with nothing around it
	$(BIN)/python docs/build_playground.py site

$(NOTEBOOK_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,notebook]'
	@touch $(NOTEBOOK_STAMP)

notebook: $(NOTEBOOK_STAMP)  ## open the notebooks in JupyterLab, in your browser
	$(BIN)/python -m jupyterlab --notebook-dir=. --LabApp.default_url=/lab/tree/notebooks/00-two-neurons.ipynb

notebooks: $(STAMP)  ## run every notebook and store what it shows
	$(BIN)/python tests/test_notebooks.py

$(SITE_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,site]'
	@touch $(SITE_STAMP)

site: $(SITE_STAMP)  ## build the site into site/: all pages, equations, rules, reference, notebooks, playground
	$(BIN)/python docs/make_site.py site

site-serve: $(STAMP)  ## serve site/ on http://127.0.0.1:8000, for this machine alone
	@test -f site/index.html || { echo "there is no site yet: say make site"; exit 2; }
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory site

test-site: site  ## drive Chromium over the built site: formulas, links, pictures, the playground
	NOBACKPROP_SITE=$(CURDIR)/site $(PYTEST) -rs tests/site

bench: $(STAMP)  ## time a training step, and its ratio to straight-line NumPy
	$(BIN)/nobackprop bench --rule bp
	$(BIN)/python -m tests.reference.fused

# PyTorch is large, and nothing else needs it: it has an environment of its own
TORCH := .torch/bin/python
.torch/bin/python: setup.cfg
	$(PYTHON) -m venv .torch
	.torch/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[torch]'
	@touch $@

bench-all: $(TORCH)  ## all networks and rules against PyTorch (20 minutes, idle machine; goes on where it stopped)
	$(TORCH) -m nobackprop.studies.speed.overview

memory: $(TORCH)  ## the memory of training processes, seen from outside (15 minutes; goes on where it stopped)
	OPENBLAS_NUM_THREADS=1 $(TORCH) -m nobackprop.studies.resident

shares: $(STAMP)  ## where the time of a step goes, for every network (5 minutes; goes on where it stopped)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m nobackprop.studies.speed.shares

.gpu/bin/python: setup.cfg
	$(PYTHON) -m venv .gpu
	.gpu/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[gpu,torch]'
	@touch $@

bench-gpu: .gpu/bin/python  ## three networks under several rules against PyTorch, on a CUDA device
	.gpu/bin/python -m nobackprop.studies.speed.gpu

accuracy: $(STAMP)  ## fast convolution and patches on CIFAR-10 (5 minutes of a processor; NOBACKPROP_DATA names the folder)
	for how in fast patches; do $(BIN)/nobackprop compare --data cifar-10 --model conv3:0.25 --rules bp --epochs 1 \
	  --threads 1 --convolution $$how --out runs/convolution-$$how || exit; done

golden: $(STAMP)  ## write the golden loss curves again, after a change that was meant
	$(BIN)/python tests/test_golden.py

release-check: $(STAMP)  ## build sdist and wheel, and run the main job and the tests with the wheel in a new environment
	$(BIN)/python tests/release.py

clean:  ## remove .venv, caches and what was built
	rm -rf $(VENV) .torch .cupy .gpu build dist *.egg-info .pytest_cache .hypothesis .nox .mypy_cache .ruff_cache .import_linter_cache \
	  .coverage htmlcov site
