/* SPDX-License-Identifier: Apache-2.0 */
#include "byte_bucket.h"

#include "base/monotonic.h"

/* No product below exceeds 2^63: a length has 32 bits, a second 30. */
uint64_t blobs_byte_bucket_cost_ns(const struct byte_bucket *bucket, uint64_t len)
{
	return bucket->per_s ? len * NS_PER_S / bucket->per_s : 0;
}

uint64_t blobs_byte_bucket_owed(const struct byte_bucket *bucket, uint64_t now_ns)
{
	uint64_t owed_ns = bucket->free_ns > now_ns ? bucket->free_ns - now_ns : 0;
	double len = (double)owed_ns * (double)bucket->per_s / (double)NS_PER_S;

	return len < (double)UINT32_MAX ? (uint64_t)len : UINT32_MAX;
}

void blobs_byte_bucket_set(struct byte_bucket *bucket, uint64_t per_s, uint64_t now_ns)
{
	uint64_t len = blobs_byte_bucket_owed(bucket, now_ns);

	if (bucket->per_s == per_s)
		return;
	bucket->per_s = per_s < BYTE_BUCKET_MAX ? per_s : BYTE_BUCKET_MAX;
	bucket->free_ns = now_ns + blobs_byte_bucket_cost_ns(bucket, len);
}

bool blobs_byte_bucket_is_free(const struct byte_bucket *bucket, uint64_t now_ns)
{
	return !bucket->per_s || bucket->free_ns <= now_ns;
}

void blobs_byte_bucket_take(struct byte_bucket *bucket, uint64_t len, uint64_t now_ns)
{
	uint64_t saved_ns = now_ns > BYTE_BUCKET_BURST_NS ? now_ns - BYTE_BUCKET_BURST_NS : 0;

	if (bucket->free_ns < saved_ns)
		bucket->free_ns = saved_ns;
	bucket->free_ns += blobs_byte_bucket_cost_ns(bucket, len);
}

void blobs_byte_bucket_give_back(struct byte_bucket *bucket, uint64_t len)
{
	uint64_t cost_ns = blobs_byte_bucket_cost_ns(bucket, len);

	bucket->free_ns -= cost_ns < bucket->free_ns ? cost_ns : bucket->free_ns;
}

/* The rest of it after a time, as a line down to nothing: exact while bytes go steadily. */
static uint64_t meter_left(const struct byte_meter *meter, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > meter->at_ns ? now_ns - meter->at_ns : 0;

	if (age_ns >= BYTE_METER_NS)
		return 0;
	return (uint64_t)((double)meter->len * (double)(BYTE_METER_NS - age_ns) /
			  (double)BYTE_METER_NS);
}

void blobs_byte_meter_note(struct byte_meter *meter, uint64_t len, uint64_t now_ns)
{
	meter->len = meter_left(meter, now_ns) + len;
	meter->at_ns = now_ns;
}

uint64_t blobs_byte_meter_per_s(const struct byte_meter *meter, uint64_t now_ns)
{
	return meter_left(meter, now_ns) / (BYTE_METER_NS / NS_PER_S);
}
