/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"

/*
 * Four bits of exponent and four of mantissa. Up to 15 the count stands as
 * it is. Above it is (16 + mantissa) << (exponent - 1), rounded to the
 * nearest, at most one in 32 away. 15 as exponent ends at 507,904 a second;
 * what is more is that.
 */
uint8_t firewall_sketch_cnt_byte(uint32_t cnt)
{
	uint32_t exponent = 0;

	if (cnt < 16)
		return (uint8_t)cnt;
	for (; cnt >> exponent > 31; exponent++)
		;
	if (exponent && (cnt >> (exponent - 1) & 1)) {
		cnt += 1u << (exponent - 1);
		exponent += cnt >> exponent > 31;
	}
	if (exponent >= 15)
		return UINT8_MAX;
	return (uint8_t)((exponent + 1) << 4 | ((cnt >> exponent) - 16));
}

uint32_t firewall_sketch_cnt_of(uint8_t byte)
{
	uint32_t exponent = byte >> 4, mantissa = byte & 15;

	return exponent ? (16 + mantissa) << (exponent - 1) : mantissa;
}

uint64_t firewall_sketch_minute(uint64_t now_ns)
{
	return now_ns / NS_PER_S / SKETCH_SLOT_S + 1;
}

static struct sketch_slot *slot_of(struct sketch *sketch, uint64_t minute)
{
	return &sketch->slots[minute % SKETCH_SLOT_CNT];
}

const struct sketch_slot *firewall_sketch_slot_at(const struct sketch *sketch, uint64_t minute)
{
	const struct sketch_slot *slot = &sketch->slots[minute % SKETCH_SLOT_CNT];

	return minute && slot->minute == minute ? slot : NULL;
}

/* Sources of higher levels are those of level 0 again. */
static void bin_add(struct sketch_bin bins[][SKETCH_BIN_CNT], const struct sketch_source *source,
		    uint32_t cnt)
{
	unsigned bin = 0;

	if (!cnt || source->level)
		return;
	for (; cnt >> bin > 1 && bin < SKETCH_BIN_CNT - 1; bin++)
		;
	bins[source->class][bin].second_cnt++;
	bins[source->class][bin].dgram_cnt += cnt;
}

static void draft_to_bins(struct sketch_bin bins[][SKETCH_BIN_CNT],
			  const struct sketch_draft *draft)
{
	for (unsigned i = 0; i < SKETCH_SLOT_S; i++)
		bin_add(bins, &draft->source, draft->cnts[i]);
}

static void draft_to_row(struct sketch_slot *slot, const struct sketch_draft *draft)
{
	struct sketch_row *row = &slot->rows[slot->row_cnt++];

	row->source = draft->source;
	for (unsigned i = 0; i < SKETCH_SLOT_S; i++)
		row->cnts[i] = firewall_sketch_cnt_byte(draft->cnts[i]);
}

static int by_nearness(const void *a, const void *b)
{
	const struct sketch_draft *x = a, *y = b;

	return x->nearness == y->nearness ? 0 : x->nearness < y->nearness ? 1 : -1;
}

void firewall_sketch_settle(struct sketch *sketch)
{
	struct sketch_slot *slot = slot_of(sketch, sketch->minute);

	if (!sketch->minute)
		return;
	qsort(sketch->drafts, sketch->draft_cnt, sizeof(sketch->drafts[0]), by_nearness);
	sketch->least = sketch->draft_cnt ? sketch->draft_cnt - 1 : 0;
	slot->row_cnt = 0;
	memcpy(slot->bins, sketch->bins, sizeof(slot->bins));
	for (unsigned i = 0; i < sketch->draft_cnt; i++) {
		if (i < SKETCH_ROW_CNT)
			draft_to_row(slot, &sketch->drafts[i]);
		else
			draft_to_bins(slot->bins, &sketch->drafts[i]);
	}
}

static void minute_begin(struct sketch *sketch, uint64_t minute)
{
	struct sketch_slot *slot = slot_of(sketch, minute);

	firewall_sketch_settle(sketch);
	memset(slot, 0, sizeof(*slot));
	memset(sketch->bins, 0, sizeof(sketch->bins));
	memset(sketch->marks, 0, sizeof(sketch->marks));
	sketch->draft_cnt = 0;
	slot->minute = sketch->minute = minute;
}

void firewall_sketch_tell_second(struct sketch *sketch, const struct sketch_second *second,
				 uint64_t now_ns)
{
	uint64_t minute = firewall_sketch_minute(now_ns);
	struct sketch_slot *slot = slot_of(sketch, minute);

	if (minute < sketch->minute)
		return;
	if (minute > sketch->minute)
		minute_begin(sketch, minute);
	sketch->second = (unsigned)(now_ns / NS_PER_S % SKETCH_SLOT_S);
	slot->seconds[sketch->second] = *second;
	slot->seconds[sketch->second].is_known = true;
}

bool firewall_sketch_source_equal(const struct sketch_source *a, const struct sketch_source *b)
{
	return a->prefix == b->prefix && a->class == b->class && a->level == b->level &&
	       a->table == b->table;
}

/* Most sources that are looked up in a flood have no draft, and one look shows that. */
static uint64_t *mark_of(struct sketch *sketch, const struct sketch_source *source,
			 uint64_t *out_bit)
{
	uint64_t hash = source->prefix + ((uint64_t)source->class << 8 | source->level << 4) +
			source->table;

	hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ull >> 51;
	*out_bit = 1ull << (hash & 63);
	return &sketch->marks[hash / 64];
}

static struct sketch_draft *draft_find(struct sketch *sketch, const struct sketch_source *source)
{
	uint64_t bit, *mark = mark_of(sketch, source, &bit);

	for (unsigned i = 0; *mark & bit && i < sketch->draft_cnt; i++)
		if (firewall_sketch_source_equal(&sketch->drafts[i].source, source))
			return &sketch->drafts[i];
	return NULL;
}

static void least_find(struct sketch *sketch)
{
	for (unsigned i = 0; i < sketch->draft_cnt; i++)
		if (sketch->drafts[i].nearness < sketch->drafts[sketch->least].nearness)
			sketch->least = i;
}

/* A newcomer needs a free place, or to be nearer to its limit now than the least was all along. */
static struct sketch_draft *draft_begin(struct sketch *sketch, const struct sketch_source *source,
					uint64_t nearness)
{
	uint64_t bit, *mark = mark_of(sketch, source, &bit);
	struct sketch_draft *draft = &sketch->drafts[sketch->least];

	if (sketch->draft_cnt < SKETCH_DRAFT_CNT)
		draft = &sketch->drafts[sketch->draft_cnt++];
	else if (nearness <= draft->nearness)
		return NULL;
	else
		draft_to_bins(sketch->bins, draft);
	*draft = (struct sketch_draft){.source = *source, .nearness = nearness};
	*mark |= bit;
	least_find(sketch);
	return draft;
}

void firewall_sketch_tell(struct sketch *sketch, const struct sketch_source *source,
			  uint32_t dgram_cnt, uint64_t cost_ns)
{
	uint64_t nearness = dgram_cnt * cost_ns;
	struct sketch_draft *draft;

	if (!sketch->minute || !dgram_cnt)
		return;
	draft = draft_find(sketch, source);
	if (draft) {
		draft->nearness += nearness;
		if (draft == &sketch->drafts[sketch->least])
			least_find(sketch);
	} else {
		draft = draft_begin(sketch, source, nearness);
	}
	if (draft)
		draft->cnts[sketch->second] += dgram_cnt;
	else
		bin_add(sketch->bins, source, dgram_cnt);
}
