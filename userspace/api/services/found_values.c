/* SPDX-License-Identifier: Apache-2.0 */
#include "found_values.h"

#include <string.h>

static unsigned cnt_of(const struct found_values *found, unsigned teller)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < found->cnt; i++)
		cnt += found->values[i]->claim.teller == teller;
	return cnt;
}

/* taken_back: the newest place of the teller with most, if that has more than teller would have. */
static struct found_value *taken_back(const struct found_values *found, unsigned teller)
{
	unsigned most = cnt_of(found, teller) + 1;
	struct found_value *place = NULL;

	for (unsigned i = 0; i < found->cnt; i++) {
		unsigned cnt = cnt_of(found, found->values[i]->claim.teller);

		if (cnt < most || (cnt == most && !place))
			continue;
		most = cnt;
		place = found->values[i];
	}
	return place;
}

static struct found_value *of_writer(const struct found_values *found, const uint8_t *writer)
{
	for (unsigned i = 0; i < found->cnt; i++)
		if (memcmp(found->values[i]->claim.writer, writer, OVERLAY_WRITER_LEN) == 0)
			return found->values[i];
	return NULL;
}

struct found_value *api_found_value_place(struct found_values *found, struct varlink_blocks *blocks,
					  const struct overlay_claim *claim)
{
	struct found_value *place = of_writer(found, claim->writer);

	if (place && claim->seq < place->claim.seq)
		return NULL;
	if (!place && found->cnt < FOUND_VALUE_MAX &&
	    (place = varlink_alloc(blocks, sizeof(*place))))
		found->values[found->cnt++] = place;
	if (!place)
		place = taken_back(found, claim->teller);
	if (place)
		place->claim = *claim;
	return place;
}
