/* SPDX-License-Identifier: Apache-2.0 */
#include "duplicates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/siphash_bytes.h"
#include "blobs/object.h"

#define FIRST_NONE UINT32_MAX

int blobs_duplicates_init(struct duplicates *duplicates, const struct manifest_item *items,
			  uint32_t cnt, struct random *random)
{
	uint32_t place_cnt = 1;

	while (place_cnt < 2 * cnt)
		place_cnt *= 2;
	*duplicates = (struct duplicates){.items = items, .mask = place_cnt - 1};
	duplicates->firsts = malloc(place_cnt * sizeof(*duplicates->firsts));
	if (!duplicates->firsts)
		return -ENOMEM;
	memset(duplicates->firsts, 0xff, place_cnt * sizeof(*duplicates->firsts));
	if (random)
		random_fill(random, duplicates->secret, sizeof(duplicates->secret));
	return 0;
}

void blobs_duplicates_fini(struct duplicates *duplicates)
{
	free(duplicates->firsts);
	duplicates->firsts = NULL;
}

uint32_t blobs_duplicates_first(struct duplicates *duplicates, uint32_t item)
{
	const uint8_t *id = duplicates->items[item].content_id;
	uint32_t at = (uint32_t)siphash(duplicates->secret, id, OBJECT_ID_LEN);

	for (;; at++) {
		uint32_t *first = &duplicates->firsts[at & duplicates->mask];

		duplicates->look_cnt++;
		if (*first == FIRST_NONE)
			*first = item;
		if (memcmp(duplicates->items[*first].content_id, id, OBJECT_ID_LEN) == 0)
			return *first;
	}
}
