# SPDX-License-Identifier: Apache-2.0
# libweft: client/ with what it needs of base/ and codec/, for other programs.
# What it offers is what include/weft/ declares as weft_*; nothing else of it
# can be seen from outside, or meets a name of the program's.

SONAME := libweft.so.0
LIBRARIES := libweft.a libweft.so
PIC := $(B_DIR)/pic

$(PIC)/%.o: %.c $(FLAGS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -fPIC -MMD -MP -c -o $@ $<

PIC_CLIENT := $(call lib_objs,client,$(PIC))
PIC_BELOW := $(call lib_objs,base,$(PIC)) $(call lib_objs,codec,$(PIC))
$(PIC)/below.a: $(PIC_BELOW)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

# One object, so that what its parts call of each other can be made their own.
$(PIC)/weft.o: $(PIC_CLIENT) $(PIC)/below.a
	$(call say,LD,$@)
	$(Q)ld -r -o $@ $^
	$(Q)nm --defined-only --extern-only $@ | awk '$$3 ~ /^weft_/ { print $$3 }' \
		>$(PIC)/weft.symbols
	$(Q)objcopy --keep-global-symbols=$(PIC)/weft.symbols $@

$(B_DIR)/libweft.a: $(PIC)/weft.o
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $<

$(B_DIR)/$(SONAME): $(PIC)/weft.o
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--no-undefined -o $@ $< \
		$(if $(SAN),-fsanitize=$(SAN)) $(if $(DYNAMIC),,$(HARDEN_LINK)) $(LDFLAGS) \
		$(shell pkg-config --libs jansson libsodium) -pthread

$(B_DIR)/libweft.so: $(B_DIR)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

ifneq (,$(filter release release-dynamic,$(PROFILE)))
all: build/libweft.a build/libweft.so
build/libweft.a build/$(SONAME): build/%: $(B_DIR)/%
	$(Q)ln -f $< $@
build/libweft.so: build/$(SONAME)
	$(Q)ln -sf $(SONAME) $@
endif

-include $(PIC_CLIENT:.o=.d) $(PIC_BELOW:.o=.d)
