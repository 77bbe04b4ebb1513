/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a follow takes of memory. A node without people is opened, and one that follows FOLLOWS people. The
 * second one is opened once more when each person has a profile with a text of 200 letters.
 *
 *	make bench B=social-follows
 */
#include <stdio.h>

#include "support/own_use.h"
#include "unit/social/people/people_rig.h"

#define FOLLOWS	 4000u
#define TEXT_LEN 200u

/* Memory of the people alone: the store is open before. */
static size_t opened_len(void)
{
	const struct people_params params = {.ground = &rig.ground, .now_ns = rig.now_ns};
	size_t before_len;
	struct people *people;

	social_people_close(rig.people);
	before_len = own_memory_len();
	if (social_people_open(&params, &people) < 0)
		abort();
	rig.people = people;
	return own_memory_len() - before_len;
}

static void profiles_make(void)
{
	memset(scratch_profile.text, 'a', TEXT_LEN);
	for (unsigned i = 1; i <= FOLLOWS; i++) {
		if (put_said(say(key_of(i), "Ada Lovelace", NOON_MS), i) < 0)
			abort();
		if (i % 64 == 0)
			save();
	}
	save();
}

int main(void)
{
	size_t none, follows, profiles;

	rig_begin();
	none = opened_len();
	for (unsigned i = 1; i <= FOLLOWS; i++) {
		if (follow(0, id_of(i), FOLLOW_PUBLIC) < 0)
			abort();
		if (i % 64 == 0)
			save();
	}
	save();
	follows = opened_len();
	profiles_make();
	profiles = opened_len();
	printf("memory    %u follows: %.0f bytes each; with a profile: %.0f bytes\n", FOLLOWS,
	       (double)(follows - none) / FOLLOWS, (double)(profiles - none) / FOLLOWS);
	rig_end();
	return 0;
}
