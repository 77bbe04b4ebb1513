/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of a post, resolved once: later changes of a circle or of follows do not change it. */
#include <string.h>

#include "social/write/social_write_state.h"

struct resolving {
	const struct social_write *write;
	struct write_readers *readers;
};

static bool reader_add(struct resolving *resolving, const uint8_t *key)
{
	struct write_readers *readers = resolving->readers;

	if (readers->cnt > VISIBILITY_RECIPIENTS_MAX)
		return false;
	memcpy(readers->keys[readers->cnt++], key, NODE_KEY_LEN);
	return true;
}

/* A private follow is no Friend (D42), nor one whose key two others claim. */
static bool friend_add(void *arg, const struct follow_view *view)
{
	struct resolving *resolving = arg;

	if (view->kind != FOLLOW_PUBLIC || view->is_frozen ||
	    social_is_blocked(resolving->write->params.people, view->person))
		return true;
	return reader_add(resolving, view->person);
}

static bool member_add(void *arg, const uint8_t *person)
{
	return reader_add(arg, person);
}

static void circle_add(struct resolving *resolving, const struct write_draft *draft)
{
	struct people *people = resolving->write->params.people;
	struct circle_view circle;

	if (!social_circle_find(people, draft->persona, draft->circle, &circle))
		resolving->readers->err = WEFT_EABSENT;
	else
		social_circle_members(people, circle.id, member_add, resolving);
}

static void people_add(struct resolving *resolving, const struct write_draft *draft)
{
	struct people *people = resolving->write->params.people;

	for (size_t i = 0; i < draft->person_cnt; i++) {
		if (social_is_blocked(people, draft->people[i]))
			resolving->readers->err = WEFT_EREFUSED;
		else if (!node_key_is_sound(draft->people[i]))
			resolving->readers->err = WEFT_EMALFORMED;
		if (resolving->readers->err || !reader_add(resolving, draft->people[i]))
			return;
	}
}

int social_readers_resolve(const struct social_write *write, const struct write_draft *draft,
			   struct write_readers *out_readers)
{
	struct resolving resolving = {write, out_readers};

	out_readers->cnt = 0;
	out_readers->err = 0;
	if (draft->intent == POST_TO_FRIENDS)
		social_follows_each(write->params.people, draft->persona, friend_add, &resolving);
	else if (draft->intent == POST_TO_CIRCLE)
		circle_add(&resolving, draft);
	else if (draft->intent == POST_TO_PEOPLE)
		people_add(&resolving, draft);
	if (out_readers->err == 0 && out_readers->cnt > VISIBILITY_RECIPIENTS_MAX)
		return WEFT_EFULL;
	return out_readers->err;
}
