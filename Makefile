# headgrid's commands. `make demo` and `make test` set up whatever they need; everything lives in .venv and js/node_modules.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

say = @printf '\033[1m== %s\033[0m\n' $(1)
node_ok = command -v npm >/dev/null 2>&1 && node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null
chromium_ok = { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1
without_node = echo "headgrid: skipped $(1): node 20 or newer is not installed (apt-get install nodejs npm, or https://nodejs.org)"

.PHONY: help demo docs test quick pytest browser hooked vitest check lint format build release-check versions clean chromium js

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(STAMPS)/demo  ## set up, and open notebooks/01_first_look.ipynb in JupyterLab
	$(call say,"opening JupyterLab; the address is printed below if no browser opens")
	@sh scripts/lab.sh $(BIN)/jupyter

docs: $(STAMPS)/docs  ## build the documentation as a site, into build/site; it needs no network
	$(call say,"building the documentation")
	@PYTHONPATH=scripts $(BIN)/python -m docs_site build/site

# the browser's tests wait more than they compute: they run beside the others, and are printed after them
test: $(STAMPS)/test $(STAMPS)/hooked chromium js  ## set up, and run every check and test, real browser included
	@failed=; log=$$(mktemp); $(MAKE) --no-print-directory lint || failed=" lint"; \
	$(MAKE) --no-print-directory browser >"$$log" 2>&1 & browser=$$!; trap "kill $$browser; exit 130" INT TERM; \
	for step in pytest hooked vitest; do $(MAKE) --no-print-directory $$step || failed="$$failed $$step"; done; \
	wait $$browser || failed="$$failed browser"; cat "$$log"; rm -f "$$log"; \
	[ -z "$$failed" ] || { echo "headgrid: failed:$$failed; what is above says where"; exit 1; }; \
	printf '\033[1m== all checks and tests passed\033[0m\n'

quick: lint  ## in between: lint, types, and the tests that are quick, on the families that are least alike
	$(call say,"running the quick tests")
	@$(BIN)/python -m pytest -q -n auto --dist worksteal --ignore=tests/browser --ignore=tests/hooked --quick
	@$(MAKE) --no-print-directory vitest

pytest: $(STAMPS)/test  ## run the Python tests, on all cores
	$(call say,"running the Python tests")
	@$(BIN)/python -m pytest -n auto --dist worksteal --ignore=tests/browser --ignore=tests/hooked

browser: $(STAMPS)/test chromium  ## run the tests in a real browser
	$(call say,"running the browser tests")
	@$(BIN)/python -m pytest tests/browser

vitest: js  ## run the JavaScript tests
	$(call say,"running the JavaScript tests")
	@if $(node_ok); then cd js && npm test --silent; else $(call without_node,the JavaScript tests); fi

check: lint  ## lint, type-check, and read the layers
	@$(BIN)/python -m pytest -q tests/test_layers.py

lint: $(STAMPS)/test js  ## lint and type-check Python and TypeScript
	$(call say,"linting and type-checking")
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@if $(node_ok); then cd js && npm run check --silent; else $(call without_node,tsc and biome); fi

format: $(STAMPS)/test js  ## let the formatters rewrite the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	@if $(node_ok); then cd js && npm run format --silent; else $(call without_node,biome); fi

build: js  ## write what is generated for js/src, and the committed bundle, anew
	@$(node_ok) || { $(call without_node,the build); exit 1; }
	@$(BIN)/python src/headgrid/widget/wire/schema.py > js/src/model/wire.ts && \
	$(BIN)/python src/headgrid/plots/style.py typescript > js/src/model/style.ts && \
	$(BIN)/python src/headgrid/plots/style.py css > js/src/chrome/palette.css && cd js && npm run build --silent

hooked: $(STAMPS)/hooked  ## run the tests of HookedTransformer, which have an environment of their own
	$(call say,"running the tests of HookedTransformer")
	@.venv-hooked/bin/python -m pytest -q tests/hooked

release-check:  ## build wheel and sdist, check them, and run what they install in a bare environment
	@sh scripts/release_check.sh $(PYTHON)

versions:  ## run what matters with the oldest and the newest supported packages, in every Python that there is; gigabytes
	@sh scripts/versions.sh

clean:  ## remove everything that was set up
	rm -rf .venv .venv-hooked build js/node_modules tests/browser/artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis

js: js/node_modules/.stamp

# in the lock's versions, and without changing it; not npm ci, which wants the packages of every other platform in the lock too
js/node_modules/.stamp: js/package-lock.json js/package.json
	@if $(node_ok); then \
	  printf '\033[1m== installing the JavaScript tools\033[0m\n' && cd js && \
	  { npm install --no-save --loglevel=error --no-audit --no-fund && touch node_modules/.stamp || \
	    { echo "headgrid: npm could not install the JavaScript tools; its message above says why"; exit 1; }; }; \
	else $(call without_node,the JavaScript tools); fi

chromium:
	@if ! $(chromium_ok); then \
	  printf '\033[1m== installing Chromium for the browser tests\033[0m\n'; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo='sudo -n'; \
	  { $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	  echo "headgrid: Chromium could not be installed, so the browser tests will fail: run 'sudo apt-get install chromium'"; \
	fi

$(STAMPS)/demo $(STAMPS)/docs $(STAMPS)/test: pyproject.toml constraints.txt
	@sh scripts/setup.sh $(PYTHON) $(notdir $@)

$(STAMPS)/hooked: scripts/hooked.sh tests/hooked/requirements.txt $(STAMPS)/test
	@sh scripts/hooked.sh && touch $@
