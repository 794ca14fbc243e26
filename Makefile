# Everything that a person or CI does with this tree. `make` prints the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO      ?= go
OS_ARCH := $(shell $(GO) env GOOS)_$(shell $(GO) env GOARCH)
DIST    := dist/$(OS_ARCH)
BIN     := $(DIST)/prism-bin
TRYOUT  := $(DIST)/tryout
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Pure Go, so that a clean machine needs no C compiler and the binary runs anywhere. The race detector alone needs cgo.
export CGO_ENABLED := 0

# One tool, pinned by internal/tools/go.mod and built from source.
LINTER := .cache/tools/golangci-lint
export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint

# What `make run` takes: BLOBS=dir, HTTP_PORT=n, METRICS_PORT=n, and ONCE=1 to end by itself (CI=true does too).
BLOBS        ?=
HTTP_PORT    ?= 0
METRICS_PORT ?= 0
ONCE         ?= $(CI)

FUZZTIME     ?= 60s
CRASH_POINTS ?= 5000
KILLS        ?= 60
BENCH        ?= .
PKGS         ?= ./...

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build dist/<os>_<arch>/prism-bin, with the version stamped in
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(BIN) ./cmd/prism

.PHONY: run
run: build ## try a blobcache on real blobs: BLOBS=dir for your own, Ctrl-C ends it
	@$(GO) build -trimpath -o $(TRYOUT) ./tools/tryout
	@$(TRYOUT) -prism $(BIN) -example examples/edge/blobcache.yaml -from "$$($(GO) env GOROOT):/usr" \
		-blobs '$(BLOBS)' -http-port $(HTTP_PORT) -metrics-port $(METRICS_PORT) $(if $(ONCE),-once)

.PHONY: test
test: ## run every test (PKGS=./segments/... for some of them)
	$(if $(CI),.ci/test,$(GO) test) -timeout 15m $(PKGS)

.PHONY: race
race: ## run every test under the race detector (needs a C compiler)
	@# cgo is for the detector alone: what tests build by themselves is what make build builds.
	CGO_ENABLED=1 .ci/test -race -timeout 30m -exec 'env CGO_ENABLED=0' $(PKGS)

# What the test mounts goes with it, however it ends. Without root the test itself says what it needs.
crash: ALONE = $(if $(filter 0,$(shell id -u)),unshare --mount)
.PHONY: crash
crash: ## 5000 power cuts, every seeded bug, 60 kills, a minute of hits, and the cap, which needs root (CRASH_POINTS, KILLS)
	$(GO) test -count=1 -timeout 60m -v -run '^TestCrashPoints$$' ./engine -crash-points $(CRASH_POINTS)
	$(GO) test -count=1 -timeout 60m -v -run '^TestMutantsAreCaught$$' ./engine -all-mutants
	$(GO) test -count=1 -timeout 60m -v -run '^TestKill$$' ./internal/crashtest -kills $(KILLS)
	$(GO) test -count=1 -timeout 60m -v -run '^TestHitsWriteNothing$$' ./engine -hits-for 60s
	$(ALONE) $(GO) test -count=1 -timeout 60m -v -run '^TestCap$$' ./internal/crashtest -loop

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (60s each)
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## run the benchmarks (BENCH=regexp PKGS=./engine/... for some of them)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKGS)

.PHONY: fmt
fmt: ## format every file
	gofmt -w $$(git ls-files '*.go')

.PHONY: check
check: check-fmt vet lint tidy build test smoke ## all that CI runs

.PHONY: check-fmt
check-fmt:
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not formatted (make fmt):"; echo "$$bad"; exit 1; }

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: smoke
smoke:
	@$(MAKE) --no-print-directory run ONCE=1

.PHONY: tidy
tidy:
	$(GO) mod tidy -diff

.PHONY: lint
lint: $(LINTER) ## run golangci-lint, pinned
	$(LINTER) run ./...

$(LINTER): internal/tools/go.mod internal/tools/go.sum
	$(GO) build -C internal/tools -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf dist .cache
