/* SPDX-License-Identifier: Apache-2.0 */
#include "content/get/twins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/siphash.h"
#include "content/object.h"

#define FIRST_NONE UINT32_MAX

int twins_init(struct twins *twins, const struct manifest_item *items, uint32_t cnt,
	       struct random *random)
{
	uint32_t place_cnt = 1;

	while (place_cnt < 2 * cnt)
		place_cnt *= 2;
	*twins = (struct twins){.items = items, .mask = place_cnt - 1};
	twins->firsts = malloc(place_cnt * sizeof(*twins->firsts));
	if (!twins->firsts)
		return -ENOMEM;
	memset(twins->firsts, 0xff, place_cnt * sizeof(*twins->firsts));
	if (random)
		random_fill(random, twins->secret, sizeof(twins->secret));
	return 0;
}

void twins_fini(struct twins *twins)
{
	free(twins->firsts);
	twins->firsts = NULL;
}

uint32_t twins_first(struct twins *twins, uint32_t item)
{
	const uint8_t *id = twins->items[item].content_id;
	uint32_t at = (uint32_t)siphash(twins->secret, id, OBJECT_ID_LEN);

	for (;; at++) {
		uint32_t *first = &twins->firsts[at & twins->mask];

		twins->look_cnt++;
		if (*first == FIRST_NONE)
			*first = item;
		if (memcmp(twins->items[*first].content_id, id, OBJECT_ID_LEN) == 0)
			return *first;
	}
}
