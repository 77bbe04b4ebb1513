/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_people.h"

#include <stdlib.h>

#include "social/people/person_follows.h"
#include "social/social.h"
#include "support/sim.h"

struct sim_node *sim_person_add(struct sim *sim)
{
	struct sim_node *node = sim_add(sim);

	social_config_defaults(&node->config.social);
	node->config.social.posts.post_cap = 4096;
	return node;
}

void sim_follow(struct social *social, const uint8_t *person, uint64_t now_ns)
{
	const struct person_follow change = {.person = person, .kind = FOLLOW_PUBLIC};
	const struct people_done done = {NULL, NULL};

	if (social_follow_set(social_people(social), &change, &done, now_ns) < 0)
		abort();
}
