# SPDX-License-Identifier: Apache-2.0
# libweft: client/ with what it needs of varlink/, base/ and codec/, for other programs.
# SYMBOLS has every name that it offers, by the version that brought it. No other name
# can be seen from outside, or meets a name of the program.

SONAME := libweft.so.0
SYMBOLS := userspace/client/libweft.map
LIBRARIES := libweft.a libweft.so
PIC := $(B_DIR)/pic

$(PIC)/%.o: %.c $(FLAGS) | $(GENERATED)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -fPIC -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

PIC_CLIENT := $(call lib_objs,client,$(PIC))
PIC_GEN := $(PIC)/node.o $(PIC)/program.o
PIC_BELOW := $(call lib_objs,base,$(PIC)) $(call lib_objs,codec,$(PIC)) \
	$(addprefix $(PIC)/userspace/varlink/,type.o blocks.o caller.o) $(PIC_GEN)
$(PIC_GEN): $(PIC)/%.o: $(GEN)/varlink/%.c $(FLAGS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -fPIC -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<
$(PIC)/below.a: $(PIC_BELOW)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

# One object, so that what its parts call of each other can be made their own. What none of the
# symbols reaches is left out: most types of the control interface.
$(PIC)/weft.o: $(PIC_CLIENT) $(PIC)/below.a $(SYMBOLS)
	$(call say,LD,$@)
	$(Q)grep -o '\bweft_[a-z_]*' $(SYMBOLS) >$(PIC)/weft.symbols
	$(Q)ld -r --gc-sections $$(sed 's/^/-u /' $(PIC)/weft.symbols) -o $@ $(filter %.o %.a,$^)
	$(Q)objcopy --keep-global-symbols=$(PIC)/weft.symbols $@

$(B_DIR)/libweft.a: $(PIC)/weft.o
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $<

$(B_DIR)/$(SONAME): $(PIC)/weft.o $(SYMBOLS)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=$(SYMBOLS) -Wl,--no-undefined -o $@ $< \
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
