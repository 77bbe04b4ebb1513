/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MUTANT

/*
 * What tools/mutate puts in front of a file that it changed. Mutants in
 * the BPF program stay off: no test of theirs could turn them on.
 */
#ifdef __bpf__
#define WEFT_MUTANT(id)	 0
#define WEFT_ENTERED(id) ((void)0)
#else
extern unsigned weft_mutant_on;
extern unsigned char *weft_mutants_reached;
#define WEFT_MUTANT(id)	 (weft_mutants_reached[id] = 1, weft_mutant_on == (id))
#define WEFT_ENTERED(id) ((void)(weft_mutants_reached[id] = 1))
#endif

#endif
