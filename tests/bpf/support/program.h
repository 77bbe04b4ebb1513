/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_PROGRAM_H
#define WEFT_TESTS_BPF_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/xdp_maps.h"
#include "weft/krpc_tables.h"
#include "weft/relay_tables.h"

struct weft_xdp; /* the skeleton */

#define PROGRAM_RELAY_FLOW_CNT 64

/*
 * The BPF program as a function: a frame in, an action and bytes out, with
 * tables and the time in the test's hands. On one CPU, so that per-CPU
 * tables are one.
 */
struct program {
	struct weft_xdp *skel;
	int fd;
	int cpu;
	int cpu_cnt;
	struct weft_krpc_tables krpc;	/* mapped */
	struct weft_relay_tables relay; /* mapped; PROGRAM_RELAY_FLOW_CNT flows */
};

struct program_result {
	uint32_t action; /* XDP_... */
	size_t len;
	uint8_t bytes[2048];
};

/*
 * program_open loads it; NULL, or the reason why this machine cannot, which
 * is the test's skip. Anything else that fails ends the test program.
 */
const char *program_open(struct program *program, uint32_t session_cap);
void program_close(struct program *program);

void program_set_now(struct program *program, uint64_t now_ns);
void program_run(struct program *program, const uint8_t *frame, size_t len,
		 struct program_result *out_result);
/* program_count: frames counted for reason so far. */
uint64_t program_count(struct program *program, enum weft_reason reason);
/* program_put writes one value of the map; what fails ends the test program. */
void program_put(struct program *program, const char *map, const void *key, const void *value);
/* program_get reads the value at idx of a map that all CPUs share. */
void program_get(struct program *program, const char *map, uint32_t idx, void *out_value);
/* program_get_own reads this CPU's value at idx of a per-CPU map. */
void program_get_own(struct program *program, const char *map, uint32_t idx, void *out_value,
		     size_t len);
/* program_{first,next} walk a hash; false: there is no more. */
bool program_first(struct program *program, const char *map, void *out_key, void *out_value);
bool program_next(struct program *program, const char *map, void *key, void *out_value);
/* program_clear empties what frames fill, and the bans. */
void program_clear(struct program *program);
/* program_samples counts the samples that wait, and keeps the last. */
unsigned program_samples(struct program *program, struct weft_sample *out_last);

#endif
