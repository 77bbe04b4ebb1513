/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BENCH_BARRIERS_H
#define WEFT_BENCH_BARRIERS_H

/*
 * barriers_ask_for gives up CAP_PERFMON, and CAP_SYS_ADMIN, which stands for
 * it: the kernel puts barriers against speculation into every BPF program
 * that is loaded afterwards. Ends the program where that is refused.
 */
void barriers_ask_for(void);

#endif
