# SPDX-License-Identifier: Apache-2.0
# BPF programs: clang makes an object, bpftool strips it of debug sections and
# writes the skeleton, a header that holds it. net/ and tests/bpf include that,
# so nothing of it is looked for when weftd runs. What bpftool writes is not ours
# to tidy, but for one thing: without memory for its tables their length is none,
# or libbpf follows what is not there.

BPF_SRCS := $(wildcard bpf/*.bpf.c tools/netlab/*.bpf.c bench/*.bpf.c bench/*/*.bpf.c)
SKELETONS := $(BPF_SRCS:%.bpf.c=$(B_DIR)/%.skel.h)
# Without CAP_PERFMON the verifier refuses half a word where a pointer was spilled, so no two
# share a place on the stack.
# linux/types.h asks for asm/types.h, which only the host's architecture has.
# The program runs where it is built: x86 reads in order (weft/relay_tables.h).
BPF_FLAGS := $(if $(filter x86_64,$(shell uname -m)),-DWEFT_BPF_ORDERED_LOADS) -target bpf -mcpu=v3 -O2 -g -mllvm -no-stack-slot-sharing -fno-strict-aliasing -Iinclude \
	-idirafter /usr/include/$(shell gcc -print-multiarch)
# Every function of the policy takes the tables, and in BPF they are the kernel's.
BPF_WARN := -Wall -Wextra -Wshadow -Wconversion -Wundef -Wformat=2 -Wpointer-arith \
	-Wno-unused-parameter $(if $(filter true,$(CI)),-Werror)

$(B_DIR)/%.bpf.o: %.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(BPF_FLAGS) $(BPF_WARN) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@.unstripped $<
	$(Q)bpftool gen object $@ $@.unstripped

$(SKELETONS): %.skel.h: %.bpf.o tools/mk/bpf.mk
	$(call say,SKEL,$@)
	$(Q)echo '/* NOLINTBEGIN */' >$@
	$(Q)bpftool gen skeleton $< name $(notdir $*) >$@.whole
	$(Q)sed -E 's/^\tif \(!s->(map|prog)s\) \{$$/&\n\t\ts->\1_cnt = 0;/' $@.whole >>$@
	$(Q)rm $@.whole
	$(Q)echo '/* NOLINTEND */' >>$@

# A system header to the compiler: bpftool does not write it for our warnings.
OUR_CPPFLAGS += -isystem $(B_DIR)
all: $(SKELETONS)
# The compiler's dependency lists leave system headers out, so who includes a skeleton is said.
$(patsubst %.c,$(B_DIR)/%.o,$(wildcard userspace/net/xdp/xdp*.c)): $(SKELETONS)

-include $(SKELETONS:.skel.h=.bpf.d)
