# SPDX-License-Identifier: Apache-2.0
# Objects, one archive per folder, the two programs.

MODULES := base codec crypto store net http tls quic tcp kad dht mesh overlay lan locate port_mapping punch reachability relay worker blobs shares search community \
	deposits offers social service provider builtin varlink firewall config api control client gateway node weftd
PKGS := libngtcp2_crypto_ossl libngtcp2 libssl libcrypto jansson libsodium liburing lmdb libbpf libllhttp libcares libutf8proc miniupnpc \
	libelf zlib libzstd

CC := $(if $(FUZZING),clang,gcc)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla \
	-Wundef -Wformat=2 -Wcast-align -Wpointer-arith
# CPPFLAGS, CFLAGS and LDFLAGS belong to whoever builds, from the environment or the command line:
# what they hold is appended to ours, so it wins.
OUR_CPPFLAGS := -Iinclude -Iuserspace -Itests -I$(B_DIR)/gen -D_GNU_SOURCE
OUR_CFLAGS := -std=gnu17 -g -fno-strict-aliasing -fstack-protector-strong
# Instrumented code loses the ranges by which gcc judges: plain profiles warn. A warning fails CI
# alone: a compiler newer than CI's knows warnings that no commit has seen.
OUR_CFLAGS += $(if $(SAN)$(FUZZING),-w,$(WARN)) $(if $(filter true,$(CI)),-Werror)
OUR_CFLAGS += $(if $(COV),-O0 --coverage,$(if $(filter debug,$(OPT)),-O1,-O2))
OUR_CFLAGS += $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -DWEFT_HOT_ASSERTS -fPIC)
# The checks a sanitizer inserts make gcc warn of paths that cannot be; the plain profiles decide.
OUR_CFLAGS += $(if $(SAN),-Wno-error)

FUZZ_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DWEFT_HOT_ASSERTS
OUR_CFLAGS += $(if $(FUZZING),$(FUZZ_FLAGS))

# Sanitizers and gcov need the dynamic loader, so only the plain profiles are
# static (docs/decisions/0001), and hardened: -fcf-protection and
# -mbranch-protection are the same guard of returns and jumps on two machines.
DYNAMIC := $(SAN)$(COV)$(FUZZING)
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
HARDEN := -fPIE -fstack-clash-protection \
	$(if $(filter x86_64 i%86,$(MACHINE)),-fcf-protection=full) \
	$(if $(filter aarch64,$(MACHINE)),-mbranch-protection=standard) \
	$(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
HARDEN_LINK := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=sha1
OUR_CFLAGS += $(if $(DYNAMIC),,$(HARDEN))
OUR_LDFLAGS := $(if $(DYNAMIC),,-static-pie $(HARDEN_LINK)) -pthread
OUR_LDFLAGS += $(if $(SAN),-fsanitize=$(SAN)) $(if $(COV),--coverage)
LDLIBS = $(shell pkg-config $(if $(DYNAMIC),,--static) --libs $(PKGS))

# lib_srcs FOLDER: the daemon's main stands apart so that tests can link node.
lib_srcs = $(filter-out userspace/weftd/weftd.c,$(wildcard userspace/$(1)/*.c userspace/$(1)/*/*.c))
lib_objs = $(patsubst %.c,$(2)/%.o,$(call lib_srcs,$(1)))
LIBS := $(MODULES:%=$(B_DIR)/%.a)
# The command, whose folders stand beside each other.
WEFT_SRCS := $(wildcard tools/weft/*.c tools/weft/*/*.c)
$(B_DIR)/tools/weft/%.o: private OUR_CPPFLAGS += -Itools/weft
SRCS := $(foreach m,$(MODULES),$(wildcard userspace/$(m)/*.c userspace/$(m)/*/*.c)) $(WEFT_SRCS)
OBJS := $(SRCS:%.c=$(B_DIR)/%.o)
PROGRAMS := weftd weft

all: $(PROGRAMS:%=$(B_DIR)/%)
ifneq (,$(filter release release-dynamic,$(PROFILE)))
all: $(PROGRAMS:%=build/%)
endif

# What the release is linked with, as SPDX 2.3, installed beside it.
SBOM := build/weft.spdx.json
ifneq (,$(filter release release-dynamic,$(PROFILE)))
all: $(SBOM)
endif
$(SBOM): $(B_DIR)/weftd tools/sbom
	$(call say,SBOM,$@)
	$(Q)tools/sbom "$$(sed -n 's/.define WEFT_VERSION "\(.*\)"/\1/p' include/weft/version.h)" $(LDLIBS) >$@.new
	$(Q)mv $@.new $@

$(PROGRAMS:%=build/%) build/lab-wire build/pktgen: build/%: $(B_DIR)/%
	$(Q)ln -f $< $@

# The vector code is written with gcc's builtins; fuzzing takes it as it is.
%_sse41.o %_avx2.o %_avx512.o: private CC := gcc
%_sse41.o %_avx2.o %_avx512.o: private OUR_CFLAGS := $(filter-out $(FUZZ_FLAGS),$(OUR_CFLAGS))
%_sse41.o: private OUR_CFLAGS += -msse4.1
%_avx2.o: private OUR_CFLAGS += -mavx2
%_avx512.o: private OUR_CFLAGS += -mavx512f -mavx512vl

# Objects follow the flags: another CFLAGS builds them anew.
COMPILE = $(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS)
FLAGS := $(B_DIR)/flags
$(FLAGS): always
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(filter-out -Werror,$(COMPILE) $(OUR_LDFLAGS) $(LDFLAGS))' >$@.new
	$(Q)cmp -s $@ $@.new && rm $@.new || mv $@.new $@
.PHONY: always

# The control interface in C: structs, type tables, the list of methods, what weft shows of replies.
# Each file is an area of the interface that it names.
GEN := $(B_DIR)/gen
VARLINK_C := tools/varlink-c tools/varlink_idl.py
INTERFACE := include/varlink/node.varlink $(filter-out %/node.varlink,$(wildcard include/varlink/*.varlink))
INTERFACE_TEXTS := $(patsubst %,$(GEN)/%.varlink,$(sort $(shell sed -n 's/^interface //p' $(INTERFACE))))
GENERATED := $(GEN)/varlink/node.h $(GEN)/varlink/node.c $(GEN)/varlink/node_client.h $(GEN)/varlink/node_views.h $(GEN)/varlink/node_views.c $(INTERFACE_TEXTS)
$(GENERATED) &: $(VARLINK_C) $(INTERFACE) include/weft/org.varlink.service.varlink
	$(call say,GEN,$(GEN)/varlink)
	$(Q)tools/varlink-c $(GEN) $(INTERFACE) include/weft/org.varlink.service.varlink

# The interface that programs behind a service serve, which weftd and libweft speak.
PROGRAM_INTERFACE := include/weft/net.weft.Service.varlink
PROGRAM_MADE := $(GEN)/varlink/program.h $(GEN)/varlink/program.c
$(PROGRAM_MADE) &: $(VARLINK_C) $(PROGRAM_INTERFACE)
	$(call say,GEN,$(GEN)/varlink/program)
	$(Q)tools/varlink-c $(GEN) --as program $(PROGRAM_INTERFACE)
GENERATED += $(PROGRAM_MADE)

# The interface that every varlink service has, and what weft itself prints with --json.
STANDARD_MADE := $(GEN)/varlink/standard.h $(GEN)/varlink/standard.c
$(STANDARD_MADE) &: $(VARLINK_C) include/weft/org.varlink.service.varlink
	$(call say,GEN,$(GEN)/varlink/standard)
	$(Q)tools/varlink-c $(GEN) --as standard include/weft/org.varlink.service.varlink
PRINTED_MADE := $(GEN)/varlink/printed.h $(GEN)/varlink/printed.c
$(PRINTED_MADE) &: $(VARLINK_C) tools/weft/print/printed.varlink
	$(call say,GEN,$(GEN)/varlink/printed)
	$(Q)tools/varlink-c $(GEN) --as printed tools/weft/print/printed.varlink
# What built-in services answer.
BUILTIN_MADE := $(GEN)/varlink/builtin.h $(GEN)/varlink/builtin.c
$(BUILTIN_MADE) &: $(VARLINK_C) userspace/builtin/replies.varlink
	$(call say,GEN,$(GEN)/varlink/builtin)
	$(Q)tools/varlink-c $(GEN) --as builtin userspace/builtin/replies.varlink
# The schemas of services that weft brings.
SHIPPED_SCHEMAS := $(sort $(wildcard userspace/offers/shipped/*.ini))
SHIPPED_MADE := $(GEN)/offers/schema_shipped.c
$(SHIPPED_MADE): tools/text-c $(SHIPPED_SCHEMAS)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && tools/text-c offers/schema/schema_shipped.h schema_shipped offers_schema_shipped $(SHIPPED_SCHEMAS) >$@
GENERATED += $(SHIPPED_MADE)
# The page of people.
PAGE_FILES := $(sort $(filter-out %.c %.h,$(wildcard userspace/api/http_people/*)))
PAGE_MADE := $(GEN)/api/people_files.c
$(PAGE_MADE): tools/text-c $(PAGE_FILES)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && tools/text-c api/http_people/web_people.h web_people_file api_http_people_files $(PAGE_FILES) >$@
GENERATED += $(PAGE_MADE)
GENERATED += $(STANDARD_MADE) $(PRINTED_MADE) $(BUILTIN_MADE)

$(B_DIR)/%.o: %.c $(FLAGS) | $(GENERATED)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

GEN_OBJS := $(GEN)/varlink/node.o $(GEN)/varlink/node_views.o $(GEN)/varlink/program.o \
	$(GEN)/varlink/standard.o $(GEN)/varlink/printed.o $(GEN)/varlink/builtin.o
$(GEN_OBJS): %.o: %.c $(FLAGS)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<
$(B_DIR)/varlink.a: $(GEN_OBJS)
SHIPPED_OBJ := $(SHIPPED_MADE:.c=.o)
PAGE_OBJ := $(PAGE_MADE:.c=.o)
$(SHIPPED_OBJ) $(PAGE_OBJ): %.o: %.c $(FLAGS)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<
$(B_DIR)/offers.a: $(SHIPPED_OBJ)
$(B_DIR)/api.a: $(PAGE_OBJ)

ifneq (,$(filter release release-dynamic,$(PROFILE)))
INTERFACES_BUILT := $(addprefix build/,$(notdir $(INTERFACE_TEXTS)))
all: $(INTERFACES_BUILT)
$(INTERFACES_BUILT): build/%: $(GEN)/%
	$(Q)ln -f $< $@
endif

define module_rule
$(B_DIR)/$(1).a: $(call lib_objs,$(1),$(B_DIR))
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach m,$(MODULES),$(eval $(call module_rule,$(m))))

LINK := $(if $(DYNAMIC),,tools/link-quietly )$(CC)
# link OBJECTS [LIBRARY]: the folders call down by name and up by seams, and a static
# libelf calls net/xdp/elf_tree.c; hence the group. A LIBRARY has all folders.
FOLDERS = -Wl,--start-group $(LIBS) $(LDLIBS) -Wl,--end-group
link = $(LINK) $(OUR_CFLAGS) $(CFLAGS) -o $@ $(1) $(if $(2),$(2) $(LDLIBS),$(FOLDERS)) $(OUR_LDFLAGS) $(LDFLAGS)

$(B_DIR)/weftd: $(B_DIR)/userspace/weftd/weftd.o $(LIBS)
	$(call say,LINK,$@)
	$(Q)$(call link,$<)

$(B_DIR)/weft: $(WEFT_SRCS:%.c=$(B_DIR)/%.o) \
		$(B_DIR)/client.a $(B_DIR)/service.a $(B_DIR)/varlink.a $(B_DIR)/relay.a $(B_DIR)/offers.a $(B_DIR)/crypto.a \
		$(B_DIR)/codec.a $(B_DIR)/base.a
	$(call say,LINK,$@)
	$(Q)$(LINK) $(OUR_CFLAGS) $(CFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(OUR_LDFLAGS) $(LDFLAGS) \
		$(shell pkg-config $(if $(DYNAMIC),,--static) --libs jansson libsodium)

-include $(OBJS:.o=.d) $(GEN_OBJS:.o=.d) $(SHIPPED_OBJ:.o=.d)
