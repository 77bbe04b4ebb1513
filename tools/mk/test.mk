# SPDX-License-Identifier: Apache-2.0
# Tests. Every program speaks TAP or exits 0, 77 (skip) or else; tools/run-tests
# runs them and prints the totals.

UNIT := $(patsubst %.c,$(B_DIR)/%,$(wildcard tests/unit/*/test_*.c))
SIM := $(patsubst %.c,$(B_DIR)/%,$(wildcard tests/sim/test_*.c))
FUZZ := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
REPLAY := $(FUZZ:%=$(B_DIR)/tests/fuzz/%)
SYSTEM := $(shell find tests/system -maxdepth 1 -type f -perm -100 2>/dev/null | sort)
SUPPORT_OBJS := $(patsubst %.c,$(B_DIR)/%.o,$(wildcard tests/support/*.c))

# T=codec keeps the tests with a path part codec, codec.*, test_codec or fuzz_codec.
matches = $(filter $(T) test_$(T) fuzz_$(T),$(subst /, ,$(basename $(1))))
pick = $(if $(T),$(foreach t,$(1),$(if $(call matches,$(t)),$(t))),$(1))

TEST_ENV = WEFTD=$(abspath $(B_DIR)/weftd) WEFT=$(abspath $(B_DIR)/weft) BUILD=$(B_DIR)
RUN_TESTS = $(TEST_ENV) tools/run-tests $(if $(T),--group $(T))

$(UNIT) $(SIM): %: %.o $(SUPPORT_OBJS) $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(SUPPORT_OBJS))

$(REPLAY): %: %.o $(B_DIR)/tests/fuzz/replay.o $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$< $(B_DIR)/tests/fuzz/replay.o)

# What needs neither root nor a network: unit, simulator, corpus replay.
test: $(call pick,$(UNIT) $(SIM) $(REPLAY))
	$(Q)$(RUN_TESTS) $^

-include $(UNIT:=.d) $(SIM:=.d) $(REPLAY:=.d) $(SUPPORT_OBJS:.o=.d) $(B_DIR)/tests/fuzz/replay.d
