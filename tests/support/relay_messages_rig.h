/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RELAY_MESSAGES_RIG_H
#define WEFT_TESTS_RELAY_MESSAGES_RIG_H

#include <stdlib.h>

#include "base/monotonic.h"
#include "relay/messages/relay_messages.h"
#include "support/check.h"
#include "support/mesh_lab.h"

/* What a relay takes of peers without contribution: so many messages at once, and ten a second. */
#define RELAY_MESSAGES_BURST 20u

static inline uint32_t relay_messages_no_score(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return 0;
}

static inline struct relay_messages *relay_messages_of(struct mesh *node, struct random *random)
{
	const struct relay_messages_params params = {.config.per_s = 2000,
						     .mesh = mesh_lab_seam_of(node),
						     .score = relay_messages_no_score,
						     .random = random};
	struct relay_messages *messages;

	if (relay_messages_new(&params, &messages) < 0)
		abort();
	return messages;
}

/*
 * Asks until one is refused with a time to come back: that is the first beyond the rate. Sets how many
 * were taken before it.
 */
static inline void relay_messages_exceed(const struct mesh_lab *lab,
					 void (*ask)(struct mesh_lab_ask *out),
					 unsigned *out_taken_cnt)
{
	uint64_t began_ns = lab->now_ns;
	struct mesh_lab_ask asked = {.reply.err = 0};
	unsigned taken_cnt = 0;

	for (; taken_cnt < 10 * RELAY_MESSAGES_BURST; taken_cnt++) {
		uint64_t earned_cnt = (lab->now_ns - began_ns) / (NS_PER_S / 10);

		ask(&asked);
		if (!asked.reply.not_before_ns)
			continue;
		/* The first one dials, so the rate begins a little later. */
		CHECK(taken_cnt + 1 >= RELAY_MESSAGES_BURST + earned_cnt);
		CHECK(taken_cnt <= RELAY_MESSAGES_BURST + earned_cnt);
		break;
	}
	CHECK_EQ(asked.reply.err, WEFT_EREFUSED);
	*out_taken_cnt = taken_cnt;
}

#endif
