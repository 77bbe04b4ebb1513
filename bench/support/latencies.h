/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LATENCIES_H
#define BENCH_LATENCIES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a caller of bench/rpc tells: how many calls, in what time, and
 * how long they took. Calls of the first WARM_UP_NS are counted, not timed.
 */
#define LATENCIES_WARM_UP_NS 300000000ull

struct latencies {
	uint64_t call_cnt;
	uint64_t first_ns, last_ns, stop_ns;
	uint32_t cnt, cap;
	uint32_t *took_ns;
};

/* latencies_start: calls go on for seconds from now_ns. */
void latencies_start(struct latencies *latencies, unsigned seconds, uint64_t now_ns);
/* latencies_add: a call that was begun at began_ns is over. 0: it was the last. */
int latencies_add(struct latencies *latencies, uint64_t began_ns, uint64_t now_ns);
/* latencies_print writes {"calls", "ns", "p50_us", "p99_us"} and more, unless NULL, as one line. */
void latencies_print(struct latencies *latencies, const char *more);

#ifdef __cplusplus
}
#endif

#endif
