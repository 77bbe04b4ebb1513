/* SPDX-License-Identifier: Apache-2.0 */
/* The audience: people that say in their HELLO that they follow a persona of this node. */
#include <string.h>

#include "base/assert.h"
#include "people_state.h"

/* A row is written anew for its time alone when that is so old. */
#define SEEN_STEP_MS (24 * 3600000ull)

static struct audience_row *row_of(const struct people *people, const uint8_t *key)
{
	return map_lookup(&people->audience_by_key, key);
}

static void row_drop(struct people *people, struct audience_row *row, uint64_t now_ns)
{
	uint8_t key[NODE_KEY_LEN];

	memcpy(key, row->key, NODE_KEY_LEN);
	map_delete(&people->audience_by_key, key);
	fair_release(&people->audience_places.fair, &row->share, now_ns);
	pool_release(&people->audience, row);
	social_people_touch(people, PEOPLE_ROW_AUDIENCE, key, now_ns);
}

/* NULL: no place. */
static struct audience_row *row_add(struct people *people, const uint8_t *key,
				    const struct people_origin *origin, uint64_t now_ns)
{
	struct fair_path path = social_people_path(&people->audience_places, origin, key);
	struct audience_row *row = pool_acquire(&people->audience);
	struct fair_item *victim = NULL;
	enum fair_verdict verdict;
	int err;

	weft_assert(row != NULL);
	memcpy(row->key, key, NODE_KEY_LEN);
	row->origin = *origin;
	verdict = fair_take(&people->audience_places.fair, &path, &row->share, now_ns, &victim);
	people->stats.audience_full_cnt += verdict != FAIR_TAKEN;
	if (verdict == FAIR_BUSY) {
		pool_release(&people->audience, row);
		return NULL;
	}
	if (verdict == FAIR_TAKEN_FROM)
		row_drop(people, container_of(victim, struct audience_row, share), now_ns);
	err = map_put(&people->audience_by_key, row->key, row);
	weft_assert(err == 0);
	return row;
}

/* Bits by index as bits by number, and back. */
static uint32_t numbers_of(const struct people *people, uint32_t personas)
{
	uint32_t numbers = 0;

	for (unsigned idx = 0; idx < people->persona_cnt; idx++)
		if (personas & 1u << idx)
			numbers |= 1u << social_persona_row(people, idx)->number;
	return numbers;
}

static uint32_t personas_of(const struct people *people, uint32_t numbers)
{
	uint32_t personas = 0;

	for (unsigned idx = 0; idx < people->persona_cnt; idx++)
		if (numbers & 1u << social_persona_row(people, idx)->number)
			personas |= 1u << idx;
	return personas;
}

int social_audience_note(struct people *people, const struct audience_note *note, uint64_t now_ns)
{
	struct people_origin origin = social_people_origin(&note->source);
	uint32_t numbers = numbers_of(people, note->personas);
	struct audience_row *row = row_of(people, note->person);
	uint64_t now_ms = people_wall_ms(people);

	if (social_is_blocked(people, note->person) || social_people_is_own(people, note->person))
		return WEFT_EREFUSED;
	if (row && row->numbers == numbers && now_ms < row->seen_ms + SEEN_STEP_MS)
		return 0;
	if (!row && numbers == 0)
		return 0;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	if (numbers == 0) {
		row_drop(people, row, now_ns);
		return 0;
	}
	if (!row && !(row = row_add(people, note->person, &origin, now_ns)))
		return WEFT_EFULL;
	row->numbers = numbers;
	row->seen_ms = now_ms;
	social_people_touch(people, PEOPLE_ROW_AUDIENCE, row->key, now_ns);
	return 0;
}

uint32_t social_audience_of(const struct people *people, const uint8_t person[static NODE_KEY_LEN])
{
	const struct audience_row *row = row_of(people, person);

	return row ? personas_of(people, row->numbers) : 0;
}

void social_audience_each(const struct people *people,
			  bool (*fn)(void *arg, const uint8_t *person, uint32_t personas),
			  void *arg)
{
	const struct audience_row *row = NULL;

	while ((row = pool_next(&people->audience, row)))
		if (!fn(arg, row->key, personas_of(people, row->numbers)))
			return;
}

void social_audience_drop(struct people *people, const uint8_t *key, uint64_t now_ns)
{
	struct audience_row *row = row_of(people, key);

	if (row)
		row_drop(people, row, now_ns);
}

void social_audience_clear(struct people *people, unsigned number, uint64_t now_ns)
{
	struct audience_row *row = NULL;

	while ((row = pool_next(&people->audience, row))) {
		if (!(row->numbers & 1u << number))
			continue;
		row->numbers &= ~(1u << number);
		if (row->numbers)
			social_people_touch(people, PEOPLE_ROW_AUDIENCE, row->key, now_ns);
		else
			row_drop(people, row, now_ns);
	}
}

/* --- rows in the store: numbers u16be | seen u64be | origin --- */

static bool audience_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct audience_row *row = row_of(people, name);

	if (!row)
		return false;
	writer_be16(w, (uint16_t)row->numbers);
	writer_be64(w, row->seen_ms);
	social_people_origin_write(w, &row->origin);
	return true;
}

static bool audience_load(struct people *people, const uint8_t *name, struct cursor *c,
			  uint64_t now_ns)
{
	uint32_t numbers = cursor_be16(c);
	uint64_t seen_ms = cursor_be64(c);
	struct people_origin origin;
	struct audience_row *row;

	if (!social_people_origin_read(c, &origin) || numbers == 0)
		return false;
	row = row_add(people, name, &origin, now_ns);
	if (row) {
		row->numbers = numbers;
		row->seen_ms = seen_ms;
	}
	return row != NULL;
}

const struct people_codec people_codec_audience = {audience_write, audience_load};
