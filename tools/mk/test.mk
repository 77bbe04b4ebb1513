# SPDX-License-Identifier: Apache-2.0
# Tests. Every program speaks TAP or exits 0, 77 (skip) or else; tools/run-tests
# runs them and prints the totals.

UNIT := $(patsubst %.c,$(B_DIR)/%,$(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
SIM := $(patsubst %.c,$(B_DIR)/%,$(wildcard tests/sim/test_*.c))
FUZZ := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
REPLAY := $(FUZZ:%=$(B_DIR)/tests/fuzz/%)
SYSTEM := $(shell find tests/system tests/conformance -maxdepth 1 -type f -perm -100 2>/dev/null | sort)
SYSTEM_C := $(patsubst %.c,$(B_DIR)/%,$(wildcard tests/system/test_*.c))
BPF_TESTS := $(patsubst %.c,$(B_DIR)/%,$(wildcard tests/bpf/test_*.c))
SUPPORT_OBJS := $(patsubst %.c,$(B_DIR)/%.o,$(wildcard tests/support/*.c))

# T=codec keeps the tests with a path part codec, codec.*, test_codec or fuzz_codec; a path,
# as a failure prints it, that one.
matches = $(filter $(T),$(1))$(filter $(T) test_$(T) fuzz_$(T) check-$(T),$(subst /, ,$(basename $(1))))
pick = $(if $(T),$(foreach t,$(1),$(if $(call matches,$(t)),$(t))),$(1))

# A test of the simulator runs over so many seeds, and those in tests/sim/seeds/: docs/simulator.md.
SEEDS ?= $(if $(SAN),1,3)
# System tests at once: they mostly wait.
SYSTEM_JOBS ?= $(shell expr 2 \* $$(nproc))
# Sanitizers look for what goes wrong in memory: a few nodes show it as well as many.
TEST_ENV = $(if $(SAN),SIM_SMALL=1) SIM_SEEDS=$(SEEDS) SYSTEM_JOBS=$(SYSTEM_JOBS) WEFTD=$(abspath $(B_DIR)/weftd) WEFT=$(abspath $(B_DIR)/weft) BUILD=$(abspath $(B_DIR))
RUN_TESTS = $(TEST_ENV) tools/run-tests $(if $(T),--group $(T))

# An archive: a test that stands in for a seam's other side itself gets no second one.
SUPPORT := $(B_DIR)/tests/support.a
$(SUPPORT): $(SUPPORT_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

# A sanitized program has up to 80 MB of code and descriptions, and 700 of them do not fit on the disk
# of a small machine. So those of `make test` share one library. A test's own symbols precede the
# library's, as they precede an archive's.
SHARED := $(if $(SAN),$(abspath $(B_DIR))/libweft.so)
SHARED_WRAPPED := $(if $(SAN),$(abspath $(B_DIR))/libweft-wrapped.so)
$(SHARED) $(SHARED_WRAPPED): $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(LINK) -shared -o $@ -Wl,--whole-archive $(LIBS) -Wl,--no-whole-archive $(LDLIBS) $(OUR_LDFLAGS) $(LDFLAGS) \
		$(if $(filter $(SHARED_WRAPPED),$@),$(ALLOC_WRAPS))

# This one hears posts and keys inside of nodes (tests/support/social_tap.h): it is linked whole.
SIM_TAPPED := $(B_DIR)/tests/sim/test_social_month
TAPS := $(foreach f,intake_post intake_visibility key_wrap key_unwrap group_wrap group_unwrap,\
	-Wl,--wrap=social_$(f))
$(SIM_TAPPED): %: %.o $(SUPPORT) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(SUPPORT)) $(TAPS)

$(filter-out $(SIM_TAPPED),$(SIM)): %: %.o $(SUPPORT) $(SHARED) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(SUPPORT),$(SHARED))

# weftd's main under another name, for tests/support/daemon_rig.h.
WEFTD_MAIN := $(B_DIR)/tests/support/weftd_main
$(WEFTD_MAIN): $(B_DIR)/userspace/weftd/weftd.o
	$(call say,MAIN,$@)
	$(Q)mkdir -p $(@D) && objcopy --redefine-sym main=weftd_main $< $@
$(SYSTEM_C): %: %.o $(WEFTD_MAIN) $(SUPPORT) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(WEFTD_MAIN) $(SUPPORT))

# Their allocations can be made to fail: tests/support/fail_alloc.h.
ALLOC_WRAPS := $(foreach f,malloc calloc realloc aligned_alloc,-Wl,--wrap=$(f))
ALLOC_WRAP := $(B_DIR)/tests/support/alloc_wrap.o
FAIL_ALLOC := $(B_DIR)/tests/support/fail_alloc.o $(ALLOC_WRAP)
$(UNIT): %: %.o $(FAIL_ALLOC) $(SUPPORT) $(SHARED_WRAPPED) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(FAIL_ALLOC) $(SUPPORT),$(SHARED_WRAPPED)) $(ALLOC_WRAPS)

# They run the BPF program through its skeleton, as net/ loads it.
BPF_SUPPORT_OBJS := $(patsubst %.c,$(B_DIR)/%.o,$(wildcard tests/bpf/support/*.c))
$(BPF_SUPPORT_OBJS): $(SKELETONS)
$(BPF_TESTS): %: %.o $(BPF_SUPPORT_OBJS) $(SUPPORT) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(BPF_SUPPORT_OBJS) $(SUPPORT))

# The same target either fuzzes or replays its corpus.
FUZZ_MAIN := $(if $(FUZZING),,$(B_DIR)/tests/fuzz/replay_corpus.o)
$(REPLAY): %: %.o $(FUZZ_MAIN) $(SUPPORT) $(SHARED) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(FUZZ_MAIN) $(SUPPORT),$(SHARED)) $(if $(FUZZING),-fsanitize=fuzzer)

# What needs neither root nor tools beyond the compiler: unit, simulator, replay.
TEST_PROGRAMS = $(call pick,$(UNIT) $(SIM) $(REPLAY))
.PHONY: test-programs
test-programs: $(TEST_PROGRAMS)
test: test-programs
	$(Q)$(RUN_TESTS) $(TEST_PROGRAMS)

# The simulator, and the store on a bad disk, over many seeds, other ones each day, as many at once as there are processors.
nightly: SEEDS := $(if $(filter command line environment,$(origin SEEDS)),$(SEEDS),200)
nightly: $(call pick,$(SIM) $(B_DIR)/tests/unit/store/test_store_disk)
	$(Q)tools/sim-seeds --seeds $(SEEDS) $(if $(FROM),--from $(FROM)) $^

# What check does with 100 nodes: docs/simulator.md.
healing: $(B_DIR)/tests/sim/test_healing
	$(Q)HEALING_NODES=500 $<

CHECKS := tools/check-format tools/check-layers tools/check-headers tools/check-man \
	tools/check-registry tools/check-features tools/check-words tools/check-shape
export CHECK_CFLAGS = $(OUR_CPPFLAGS) -Itools/weft -std=gnu17 $(WARN)
SYSTEM_PROGRAMS = $(call pick,$(BPF_TESTS) $(SYSTEM_C))
# weftd that counts what its worker allocates, for tests/system/test_malloc_trap.py.
TRAP := $(B_DIR)/weftd-trap
$(TRAP): $(B_DIR)/userspace/weftd/weftd.o $(B_DIR)/tests/system/support/malloc_trap.o $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$(filter %.o,$^)) $(foreach f,malloc calloc realloc node_run blobs_serve_call_work,-Wl,--wrap=$(f))

# weftd whose allocations fail as tests/system/test_fault_memory.py wants it.
SCARCE := $(B_DIR)/weftd-scarce
$(SCARCE): $(B_DIR)/userspace/weftd/weftd.o $(B_DIR)/tests/system/support/malloc_fail.o $(ALLOC_WRAP) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$(filter %.o,$^)) $(foreach f,malloc calloc realloc reallocarray aligned_alloc posix_memalign,-Wl,--wrap=$(f))

# Hostile peers, for tests/system/test_crowd.py, large stores, for test_large_store.py, and offers
# and queries by a schema, for test_schema_match.py.
CROWD := $(B_DIR)/tests/system/support/crowd
LARGE_STORE := $(B_DIR)/tests/system/support/large_store
SCHEMA_LINES := $(B_DIR)/tests/system/support/schema_lines
$(CROWD) $(LARGE_STORE) $(SCHEMA_LINES): %: %.o $(SUPPORT) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(SUPPORT))

# bench/NAME.sh or .py drives a bench, else the program of that name is one;
# bench/NAME_PART.c are programs that a driver uses, bench/support/ is in all of them.
BENCH_PROGRAMS := $(patsubst %.c,$(B_DIR)/%,$(filter-out %.bpf.c,$(wildcard bench/*.c)))
BENCH_DRIVERS := $(shell find bench -maxdepth 1 -type f -perm -100 2>/dev/null | sort)
BENCHES = $(BENCH_DRIVERS) $(foreach p,$(BENCH_PROGRAMS),$(if \
	$(findstring _,$(notdir $(p)))$(filter $(notdir $(p)),$(basename $(notdir $(BENCH_DRIVERS)))),,$(p)))
BENCH_SUPPORT := $(patsubst %.c,$(B_DIR)/%.o,$(wildcard bench/support/*.c))

# Tests on networks whose links can be impaired (tools/lab).
LAB_TESTS := $(addprefix tests/system/test_,lab.py mainline.py signaling.py switching.py)

# What the system tests run beside the daemon.
SYSTEM_NEEDS = all $(if $(call pick,tests/system/test_malloc_trap.py),$(TRAP)) \
	$(if $(call pick,tests/system/test_crowd.py),$(CROWD)) \
	$(if $(call pick,tests/system/test_fault_memory.py),$(SCARCE)) \
	$(if $(call pick,tests/system/test_large_store.py),$(LARGE_STORE)) \
	$(if $(call pick,tests/system/test_schema_match.py),$(SCHEMA_LINES)) \
	$(if $(call pick,$(LAB_TESTS)),$(B_DIR)/lab-wire) \
	$(if $(call pick,tests/system/test_pktgen.py),$(B_DIR)/pktgen) \
	$(if $(call pick,tests/system/test_echo_program.py),$(B_DIR)/weft-echo) \
	$(if $(call pick,tests/system/test_dissect.py),$(B_DIR)/tests/bpf/test_answers \
		$(B_DIR)/tests/bpf/test_krpc)

# All that check needs, built and not run. Of the benches it only says whether they still build.
programs: $(TEST_PROGRAMS) $(SYSTEM_PROGRAMS) $(SYSTEM_NEEDS) $(if $(T),,$(BENCH_PROGRAMS))

check: programs
	$(Q)$(if $(call pick,$(SYSTEM)),tools/setup --npm || :)
	$(Q)$(if $(call pick,tests/system/test_offer_browser.py),tools/setup --browser || :)
	$(Q)$(RUN_TESTS) $(call pick,$(CHECKS)) $(TEST_PROGRAMS) $(SYSTEM_PROGRAMS) \
		$(call pick,$(SYSTEM)) $(foreach t,$(call pick,$(if $(DISCOVERY),,$(DHT_PART))),'DISCOVERY=dht $(t)')

# The system tests once more where nodes find each other on the DHT alone (docs/lab.md). DHT_PART is what
# check runs so. DHT_ALIKE are left out unless T names them: no node looks for another in them (documents,
# installation, faults step by step, attacks over loopback), or their DHT is their own (those of the last line).
named = $(addprefix tests/system/test_,$(addsuffix .py,$(1)))
DHT_PART := $(call named,communities fabric get gateway_mesh gateway_streams rooms rotate shares)
DHT_ALIKE := $(call named,client_library conformance crash crowd damage dht_driver dissect docs fault_import fault_kill \
	fault_memory fault_state first_run hardening import_memory krpc lab large_store malloc_trap man mutate node_user \
	pktgen power_cut sandbox sbom schema_command schema_match secrets service_socket services_doc setup states systemd unit \
	docs_machines mainline mainline_npm signaling switching)
check-dht: $(SYSTEM_NEEDS)
	$(Q)DISCOVERY=dht $(RUN_TESTS) $(if $(T),$(call pick,$(SYSTEM)),\
		$(filter-out $(DHT_ALIKE) tests/conformance/%,$(SYSTEM)))

# What root's namespaces hide: the system tests by nobody, who skips what needs root. A clone below a
# folder that nobody may enter, as /root, is shown at another place in a mount namespace of its own.
# The long ones are left out unless T names them, for they do the same whoever runs them: attacks
# over loopback, and faults step by step.
USER_LONG := $(addprefix tests/system/test_,$(addsuffix .py,crowd damage fault_get fault_import fault_kill fault_state))
NOBODY := setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all
check-user: $(SYSTEM_NEEDS)
	+$(Q)if [ "$$(id -u)" != 0 ]; then \
		echo 'check-user: make check was an ordinary user'"'"'s already'; \
	elif $(NOBODY) test -r $(CURDIR)/$(B_DIR)/weftd; then \
		$(NOBODY) env CI= HOME=/nonexistent XDG_CACHE_HOME=/nonexistent \
			$(RUN_TESTS) $(if $(T),$(call pick,$(SYSTEM)),$(filter-out $(USER_LONG),$(SYSTEM))); \
	elif [ -n "$(SHOWN)" ]; then \
		echo 'check-user: an ordinary user may not read $(CURDIR), wherever it is'; exit 1; \
	else \
		place=$$(mktemp -d) && chmod 755 "$$place" && { unshare --mount --propagation private sh -c \
			'mount --bind "$$1" "$$2" && cd "$$2" && exec $(MAKE) --no-print-directory check-user SHOWN=1 T=$(T)' \
			sh "$(CURDIR)" "$$place"; status=$$?; rmdir "$$place"; exit $$status; }; \
	fi

fuzz:
	+$(Q)$(MAKE) FUZZING=1 fuzz-run
.PHONY: fuzz-run
fuzz-run: $(call pick,$(REPLAY))
	$(Q)for target in $^; do \
		name=$${target##*/} && mkdir -p build/fuzz/corpus/$$name && echo "$$name, $(TIME) s" && \
		$$target -max_total_time=$(TIME) -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=build/fuzz/$$name- \
			build/fuzz/corpus/$$name tests/corpus/$$name || exit 1; \
	done

cov:
	+$(Q)$(MAKE) COV=1 cov-run
.PHONY: cov-run
cov-run: test
	$(Q)tools/coverage $(B_DIR)

# Random changes that tests are to notice; the last two goals are for tools/mutate alone. System
# tests in C are quick, and run what no unit test can: sockets, threads, a daemon's start.
MUTANT_PROGRAMS = $(TEST_PROGRAMS) $(call pick,$(SYSTEM_C))
COUNT ?= 60
SEED ?= 1
mutants:
	$(Q)tools/mutate $(T:%=--folder %) --count $(COUNT) --seed $(SEED)
mutant-programs: $(MUTANT_PROGRAMS)
mutant-list:
	$(Q)printf '%s\n' $(MUTANT_PROGRAMS)
.PHONY: mutants mutant-programs mutant-list

demo: all $(B_DIR)/pktgen
	$(Q)$(TEST_ENV) PKTGEN=$(abspath $(B_DIR)/pktgen) tools/demo

TIDY_SRCS = $(filter-out %_sse41.c %_avx2.c %_avx512.c,$(SRCS))
tidy: $(SKELETONS)
	$(Q)printf '%s\n' $(TIDY_SRCS) | xargs -n 1 -P $$(nproc) sh -c 'clang-tidy --quiet \
		--config-file=tools/clang-tidy.yaml "$$@" -- $(OUR_CPPFLAGS) -Itools/weft -DWEFT_HOT_ASSERTS -std=gnu17' tidy

format:
	$(Q)find bpf include userspace tools tests bench -name '*.[ch]' 2>/dev/null | xargs clang-format -i

$(BENCH_PROGRAMS): %: %.o $(BENCH_SUPPORT) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(BENCH_SUPPORT) $(BENCH_MORE)) -lm
$(B_DIR)/bench/decisions: $(BPF_SUPPORT_OBJS)
$(B_DIR)/bench/decisions: BENCH_MORE = $(BPF_SUPPORT_OBJS)
$(B_DIR)/bench/announce $(B_DIR)/bench/directory $(B_DIR)/bench/flood_forger $(B_DIR)/bench/social $(B_DIR)/bench/social-sync $(B_DIR)/bench/social-sync_fill $(B_DIR)/bench/social-follows: $(SUPPORT)
$(B_DIR)/bench/announce $(B_DIR)/bench/directory $(B_DIR)/bench/flood_forger $(B_DIR)/bench/social $(B_DIR)/bench/social-sync $(B_DIR)/bench/social-sync_fill $(B_DIR)/bench/social-follows: BENCH_MORE = $(SUPPORT)
$(B_DIR)/bench/search $(B_DIR)/bench/offers $(B_DIR)/bench/offers-routed: $(SUPPORT)
$(B_DIR)/bench/search $(B_DIR)/bench/offers $(B_DIR)/bench/offers-routed: BENCH_MORE = $(SUPPORT) $(shell pkg-config $(if $(DYNAMIC),,--static) --libs sqlite3)

# What bench/rpc calls by gRPC is in C++ and needs packages nothing else does: it is made for that
# bench alone.
RPC_GRPC := $(B_DIR)/bench/rpc_grpc
$(RPC_GRPC): bench/rpc_grpc.cc bench/rpc.proto $(B_DIR)/bench/support/latencies.o
	$(call say,CXX,$@)
	$(Q)protoc -Ibench --cpp_out=$(@D) --grpc_out=$(@D) \
		--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) rpc.proto
	$(Q)g++ -std=c++17 -O2 -g -Wall -Wextra -I$(@D) -Ibench -o $@ $< $(@D)/rpc.pb.cc \
		$(@D)/rpc.grpc.pb.cc $(filter %.o,$^) $$(pkg-config --cflags --libs grpc++ protobuf)

BENCHES_PICKED = $(if $(B),$(filter %/$(B) %/$(B).sh %/$(B).py,$(BENCHES)),$(BENCHES))
bench: all lab $(BENCH_PROGRAMS) $(if $(filter-out rpc,$(B)),,$(RPC_GRPC)) \
	$(if $(filter-out networks,$(B)),,$(SIM))
	$(Q)$(if $(BENCHES_PICKED),,echo 'bench: there is no B=$(B); there are: $(sort $(basename $(notdir $(BENCHES))))'; exit 1)
	$(Q)set -e; for bench in $(BENCHES_PICKED); do \
		echo "# $$bench"; $(TEST_ENV) $$bench; done

-include $(BENCH_PROGRAMS:=.d) $(BENCH_SUPPORT:.o=.d)
-include $(UNIT:=.d) $(SIM:=.d) $(SYSTEM_C:=.d) $(CROWD).d $(LARGE_STORE).d $(SCHEMA_LINES).d $(B_DIR)/tests/system/support/malloc_fail.d $(BPF_TESTS:=.d) $(BPF_SUPPORT_OBJS:.o=.d) \
	$(REPLAY:=.d) $(SUPPORT_OBJS:.o=.d) $(B_DIR)/tests/fuzz/replay.d
