# SPDX-License-Identifier: Apache-2.0
# weft: `make help` lists the targets.

SAN ?=
OPT ?= release
PROFILE := $(OPT)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma := ,
B_DIR := build/$(if $(SAN),san-$(subst $(comma),-,$(SAN)),$(OPT))

MODULES := base codec crypto store net demux quic mesh content control node
PKGS := libngtcp2_crypto_ossl libngtcp2 libssl libcrypto jansson libsodium liburing lmdb

CC := gcc
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla \
	-Wundef -Wformat=2 -Wcast-align -Wpointer-arith -Werror
CPPFLAGS := -Iinclude -Iuserspace -Itests -D_GNU_SOURCE
CFLAGS := -std=gnu17 -g -fno-strict-aliasing $(WARN)
CFLAGS += $(if $(filter debug,$(OPT)),-O1,-O2)
CFLAGS += $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -DWEFT_HOT_ASSERTS)
LDFLAGS += $(if $(SAN),-fsanitize=$(SAN),-static) -pthread
LDLIBS = $(shell pkg-config $(if $(SAN),,--static) --libs $(PKGS))

lib_objs = $(patsubst %.c,$(B_DIR)/%.o,$(wildcard userspace/$(1)/*.c))
LIBS := $(foreach m,$(filter-out node,$(MODULES)),$(B_DIR)/$(m).a)
ALL_OBJS := $(foreach m,$(MODULES),$(call lib_objs,$(m)))

TEST_SRCS := $(wildcard tests/unit/*/test_*.c) $(wildcard tests/sim/test_*.c)
TESTS := $(patsubst %.c,$(B_DIR)/%,$(TEST_SRCS))
SUPPORT_OBJS := $(patsubst %.c,$(B_DIR)/%.o,$(wildcard tests/support/*.c))
T ?=

.PHONY: all test
all:

$(B_DIR)/%_sse41.o: CFLAGS += -msse4.1
$(B_DIR)/%_avx2.o: CFLAGS += -mavx2
$(B_DIR)/%_avx512.o: CFLAGS += -mavx512f -mavx512vl

$(B_DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define module_rule
$(B_DIR)/$(1).a: $$(call lib_objs,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach m,$(MODULES),$(eval $(call module_rule,$(m))))

$(B_DIR)/tests/%: $(B_DIR)/tests/%.o $(SUPPORT_OBJS) $(LIBS)
	$(CC) $(CFLAGS) -o $@ $< $(SUPPORT_OBJS) -Wl,--start-group $(LIBS) -Wl,--end-group \
		$(LDFLAGS) $(LDLIBS)

# T=codec runs the tests whose path has the part "codec".
test: $(filter $(if $(T),%/$(T)/% $(B_DIR)/tests/$(T)/%,%),$(TESTS))
	prove --exec '' $^

-include $(ALL_OBJS:.o=.d)
