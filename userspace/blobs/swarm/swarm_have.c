/* SPDX-License-Identifier: Apache-2.0 */
#include "swarm_have.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void blobs_have_fini(struct have *have)
{
	free(have->payload);
	*have = (struct have){.kind = HAVE_GUESSED, .version = have->version + 1};
}

void blobs_have_set(struct have *have, enum have_kind kind)
{
	blobs_have_fini(have);
	have->kind = kind;
}

int blobs_have_take(struct have *have, const uint8_t *payload, size_t len)
{
	struct message_have_answer told;
	uint8_t *copy;
	int err;

	if (have->payload && have->len == len && memcmp(have->payload, payload, len) == 0)
		return 0;
	copy = malloc(len ? len : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, payload, len);
	err = blobs_message_have_answer_parse(copy, len, &told);
	if (err) {
		free(copy);
		return err;
	}
	blobs_have_fini(have);
	have->payload = copy;
	have->len = len;
	have->told = told;
	have->kind = told.has_all ? HAVE_ALL : HAVE_SOME;
	return 1;
}

void blobs_have_note_lack(struct have *have, uint32_t item, uint64_t chunk)
{
	if (have->lack_cnt < HAVE_LACKS_MAX)
		have->lacks[have->lack_cnt] = (struct have_lack){item, chunk};
	if (have->lack_cnt <= HAVE_LACKS_MAX)
		have->lack_cnt++;
}

static bool have_lacks(const struct have *have, uint32_t item, uint64_t chunk)
{
	if (have->lack_cnt > HAVE_LACKS_MAX)
		return true;
	for (unsigned i = 0; i < have->lack_cnt; i++)
		if (have->lacks[i].item == item && have->lacks[i].chunk == chunk)
			return true;
	return false;
}

bool blobs_have_has(const struct have *have, uint32_t item, uint64_t chunk)
{
	if (have_lacks(have, item, chunk))
		return false;
	return have->kind != HAVE_SOME || blobs_message_have_has_item(&have->told, item) ||
	       blobs_message_have_has_chunk(&have->told, item, chunk);
}

uint64_t blobs_have_chunks(const struct have *have, uint32_t item, uint64_t first)
{
	uint64_t bits = have->kind == HAVE_SOME
				? blobs_message_have_chunks(&have->told, item, first)
				: ~0ull;

	if (have->lack_cnt > HAVE_LACKS_MAX)
		return 0;
	for (unsigned i = 0; i < have->lack_cnt; i++) {
		const struct have_lack *lack = &have->lacks[i];

		if (lack->item == item && lack->chunk / 64 == first / 64)
			bits &= ~(1ull << lack->chunk % 64);
	}
	return bits;
}

bool blobs_have_is_growing(const struct have *have)
{
	return have->kind == HAVE_SOME && have->payload && have->told.is_growing;
}

bool blobs_have_may_grow(const struct have *have)
{
	return blobs_have_is_growing(have) || (have->kind == HAVE_SOME && !have->payload);
}
