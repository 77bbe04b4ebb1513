/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_BYTE_BUCKET_H
#define WEFT_BLOBS_RATES_BYTE_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A limit of bytes per second, as a token bucket whose credit is time. Bytes that go out move
 * free_ns ahead by as long as they take at that rate, and nothing more goes before free_ns. So a
 * chunk goes as a whole, and is owed for afterwards. Over any time, no more goes than the rate,
 * BYTE_BUCKET_BURST_NS of it that was saved up, and one chunk. No I/O; time is an argument.
 */
#define BYTE_BUCKET_BURST_NS 20000000ull
#define BYTE_BUCKET_MAX	     125000000000ull /* bytes per second, a Tbit/s */

struct byte_bucket {
	uint64_t per_s; /* bytes, at most BYTE_BUCKET_MAX; 0: no limit */
	uint64_t free_ns;
};

/* blobs_byte_bucket_set: per_s from now on; what is owed is paid back at the new rate. */
void blobs_byte_bucket_set(struct byte_bucket *bucket, uint64_t per_s, uint64_t now_ns);
bool blobs_byte_bucket_is_free(const struct byte_bucket *bucket, uint64_t now_ns);
/* blobs_byte_bucket_take: len bytes, at most 2^32, go now. */
void blobs_byte_bucket_take(struct byte_bucket *bucket, uint64_t len, uint64_t now_ns);
/* blobs_byte_bucket_owed: bytes that went before their time, at most 2^32 - 1. */
uint64_t blobs_byte_bucket_owed(const struct byte_bucket *bucket, uint64_t now_ns);
/* blobs_byte_bucket_give_back: so many of them did not go after all. */
void blobs_byte_bucket_give_back(struct byte_bucket *bucket, uint64_t len);
/* blobs_byte_bucket_cost_ns: as long as len bytes take; 0 without a limit. */
uint64_t blobs_byte_bucket_cost_ns(const struct byte_bucket *bucket, uint64_t len);

/* How many bytes went lately, of the last BYTE_METER_NS or so. */
#define BYTE_METER_NS 10000000000ull
struct byte_meter {
	uint64_t len; /* decays: a tenth of it is what goes in a second */
	uint64_t at_ns;
};
void blobs_byte_meter_note(struct byte_meter *meter, uint64_t len, uint64_t now_ns);
uint64_t blobs_byte_meter_per_s(const struct byte_meter *meter, uint64_t now_ns);

#endif
