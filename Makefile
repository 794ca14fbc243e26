# Everything that a person or CI does with this tree. `make` prints the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What make crash runs side by side; nothing else is.
LANES := crash-computed crash-programs
ifneq ($(MAKECMDGOALS),$(LANES))
.NOTPARALLEL:
endif

GO      ?= go
OS_ARCH := $(shell $(GO) env GOOS)_$(shell $(GO) env GOARCH)
DIST    := dist/$(OS_ARCH)
BIN     := $(DIST)/prism-bin
FSCK    := $(DIST)/fsck
TRYOUT  := $(DIST)/tryout
GATEWAY := $(DIST)/versitygw
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
CRASH_POINTS ?= 10000
SEQUENCES    ?= 0
KILLS        ?= 200
RECEIPTS     ?= 50
CATALOGUE_KILLS ?= 100
POWER_CUTS   ?= 100
MIGRATIONS   ?= 100
BENCH        ?= .
PKGS         ?= ./...

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build prism-bin and fsck in dist/<os>_<arch>, with the version stamped in
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(BIN) ./cmd/prism
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(FSCK) ./tools/fsck

# What the programs of run and run-s3 are asked with.
TRY = $(TRYOUT) -prism $(BIN) -from "$$($(GO) env GOROOT):/usr" -blobs '$(BLOBS)' -http-port $(HTTP_PORT) -metrics-port $(METRICS_PORT) $(if $(ONCE),-once)

.PHONY: run
run: build ## try it on a real file and real blobs, uploaded and read back over every protocol: BLOBS=dir for your own, Ctrl-C ends it
	@$(GO) build -trimpath -o $(TRYOUT) ./tools/tryout
	@$(TRY)

.PHONY: run-s3
run-s3: build ## the same over an S3 server, which it builds
	@$(GO) build -trimpath -o $(TRYOUT) ./tools/tryout
	@$(GO) build -C internal/testbed/versitygw -trimpath -o '$(CURDIR)/$(GATEWAY)' github.com/versity/versitygw/cmd/versitygw
	@$(TRY) -s3 $(GATEWAY)

.PHONY: test
test: ## run every test (PKGS=./segments/... for some of them)
	$(if $(CI),.ci/test,$(GO) test) -timeout 15m $(PKGS)

.PHONY: race
race: ## run every test under the race detector (needs a C compiler)
	@# cgo is for the detector alone: what tests build by themselves is what make build builds.
	CGO_ENABLED=1 .ci/test -race -timeout 30m -exec 'env CGO_ENABLED=0' $(PKGS)

# Two lanes at once: what keeps the processors busy, and what waits for programs, disks and the clock. Each step prints
# what it has shown when it ends. When one fails its lane ends, the other goes on to its own end, and then make fails.
.PHONY: crash
crash: ## 10000 power cuts in memory, all short sequences, every failing call, every seeded bug, a repair after damage to every block, 200 kills, 50 kills amidst uploads over each store, 200 of them and of MariaDB under a catalogue, stops amidst transfers, 100000 requests over HTTP/3 that are taken back, a minute of hits, the cap, 200 real power cuts, 100 killed migrations and one on a full disk (as root)
	@$(MAKE) --no-print-directory -j2 --output-sync=line $(LANES)

# What these tests mount goes with them, however they end. Without root they say themselves what they need. SEQUENCES=0
# is all of them. What computes gives way to programs that are measured by the clock.
$(LANES): ALONE = $(if $(filter 0,$(shell id -u)),unshare --mount)
$(LANES): TEST = $(GO) test -count=1 -timeout 120m -v
$(LANES): ENGINE = nice -n 5 $(TEST) ./engine
$(LANES): PROGRAM = $(TEST) ./internal/crashtest
$(LANES): MIGRATE = $(TEST) ./tools/fsck/migrate
.PHONY: $(LANES)
crash-computed:
	$(ENGINE) -run '^TestCrashPoints$$' -crash-points $(CRASH_POINTS)
	@# Thousands of small engines, opened and thrown away: collecting them less often saves a quarter of the time.
	GOGC=400 GOMEMLIMIT=4GiB $(ENGINE) -run '^TestCrashSequences$$' -sequences $(SEQUENCES)
	@# The indexes that faults park stay in memory until their process ends, so each fault has one of its own.
	GOMEMLIMIT=4GiB $(ENGINE) -run '^TestFaultWalk$$|^TestBadInput' -all-faults
	$(ENGINE) -run '^TestMutantsAreCaught$$' -all-mutants
	nice -n 5 $(TEST) ./engine/enginetest -run '^TestRepairOfDamage$$' -all-damage

crash-programs:
	$(PROGRAM) -run '^TestCatalogue$$' -receipt-kills $(CATALOGUE_KILLS)
	$(PROGRAM) -run '^TestKill$$' -kills $(KILLS)
	$(PROGRAM) -run '^TestReceipts$$' -receipt-kills $(RECEIPTS)
	$(PROGRAM) -run '^TestDrainOf'
	$(TEST) ./engine -run '^TestHitsWriteNothing$$' -hits-for 60s
	$(TEST) ./frontends/http3 -run '^TestResetStorm$$' -resets 100000
	$(ALONE) $(PROGRAM) -run '^TestPowerCuts$$' -power-cuts $(POWER_CUTS)
	$(ALONE) $(PROGRAM) -run '^TestCap$$' -loop
	$(MIGRATE) -run '^TestKilled$$' -kills $(MIGRATIONS)
	$(ALONE) $(MIGRATE) -run '^TestInPlace$$' -loop

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (60s each)
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## run the benchmarks (BENCH=regexp PKGS=./engine/... for some of them)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKGS)

# The table is kept only by whole runs of these.
KEEP = -results $(CURDIR)/benchmarks/RESULTS.md
.PHONY: bench-table
bench-table: ## compare the disk tier with its bars, and keep benchmarks/RESULTS.md (root, fio, TMPDIR on the disk)
	$(GO) test -timeout 60m -run '^$$' -bench '^Benchmark(Put|PutAlways4KiB|Evict|GetWarm|Cold|Written|HitsWrite|Full|Check1M|CheckData|CheckHash)$$' -benchtime 3x ./benchmarks $(KEEP)

.PHONY: bench-long
bench-long: ## the same for what takes long: 5 minutes of fills, 60 s of hits, 20 GiB
	$(GO) test -timeout 60m -run '^$$' -bench '^Benchmark(HitsWrite|Full|Space)$$' -benchtime 1x ./benchmarks \
		-full-for 5m -hits-for 60s -space 21474836480 $(KEEP)

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
	$(LINTER) run --allow-serial-runners ./...

$(LINTER): internal/tools/go.mod internal/tools/go.sum
	$(GO) build -C internal/tools -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf dist .cache
