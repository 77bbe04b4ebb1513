/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_PACE_H
#define WEFT_CONTENT_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A limit of bytes per second, as a token bucket whose credit is time: what
 * goes out moves free_ns ahead by as long as it takes at that rate, and
 * nothing more goes before free_ns. So a chunk goes as a whole, is owed for
 * afterwards, and over any time no more goes than the rate, PACE_BURST_NS of it
 * that was saved up, and one chunk. No I/O; time is an argument.
 */
#define PACE_BURST_NS 20000000ull
#define PACE_MAX      125000000000ull /* bytes per second, a Tbit/s */

struct pace {
	uint64_t per_s; /* bytes, at most PACE_MAX; 0: no limit */
	uint64_t free_ns;
};

/* pace_set: per_s from now on; what is owed is paid back at the new rate. */
void pace_set(struct pace *pace, uint64_t per_s, uint64_t now_ns);
bool pace_is_free(const struct pace *pace, uint64_t now_ns);
/* pace_take: len bytes, at most 2^32, go now. */
void pace_take(struct pace *pace, uint64_t len, uint64_t now_ns);
/* pace_owed: bytes that went before their time, at most 2^32 - 1. */
uint64_t pace_owed(const struct pace *pace, uint64_t now_ns);
/* pace_give_back: so many of them did not go after all. */
void pace_give_back(struct pace *pace, uint64_t len);
/* pace_cost_ns: as long as len bytes take; 0 without a limit. */
uint64_t pace_cost_ns(const struct pace *pace, uint64_t len);

/* How many bytes went lately, of the last PACE_METER_NS or so. */
#define PACE_METER_NS 10000000000ull
struct pace_meter {
	uint64_t len; /* decays: a tenth of it is what goes in a second */
	uint64_t at_ns;
};
void pace_meter_note(struct pace_meter *meter, uint64_t len, uint64_t now_ns);
uint64_t pace_meter_per_s(const struct pace_meter *meter, uint64_t now_ns);

#endif
