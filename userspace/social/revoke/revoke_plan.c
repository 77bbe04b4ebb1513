/* SPDX-License-Identifier: Apache-2.0 */
/* What a revocation is about, and what it would cost. Nothing here changes anything. */
#include <errno.h>
#include <string.h>

#include "social/revoke/revoke_state.h"
#include "store/store.h"

#define VISITS_PER_TURN 2048u

/* --- posts --- */

int social_revoke_load(struct revocations *revocations, const uint8_t id[static POST_ID_LEN],
		       struct post_copy **out_copy)
{
	struct post_copy *copy;
	int err = social_posts_read(revocations->params.posts, id, &copy);

	if (err < 0)
		return err;
	err = social_post_parse(copy->parts.post, copy->parts.post_len, &revocations->post);
	if (err == 0)
		err = social_visibility_read(copy->parts.visibility, copy->parts.visibility_len,
					     &revocations->visibility);
	if (err < 0) {
		social_post_copy_free(copy);
		return err == -ENOMEM ? err : WEFT_EDAMAGED;
	}
	*out_copy = copy;
	return 0;
}

bool social_revoke_is_in_scope(const struct revocations *revocations,
			       const struct revoke_scope *scope)
{
	const struct visibility *visibility = &revocations->visibility;
	const struct revoke_ways *ways = &revocations->params.ways;

	if (visibility->kind != VISIBILITY_RECIPIENTS ||
	    !social_visibility_recipient(visibility, scope->person))
		return false;
	for (unsigned i = 0; scope->circle && i < visibility->recipient_cnt; i++) {
		const uint8_t *reader = visibility->recipients[i].reader;

		if (memcmp(reader, scope->person, NODE_KEY_LEN) != 0 &&
		    !ways->is_in_circle(ways->ctx, scope->circle, reader))
			return false;
	}
	return true;
}

struct finding {
	struct post_view *out;
	bool is_found;
};

static bool find_one(void *arg, const struct post_view *view)
{
	struct finding *finding = arg;

	if (view->kind != VISIBILITY_RECIPIENTS)
		return true;
	*finding->out = *view;
	finding->is_found = true;
	return false;
}

int social_revoke_find(struct revocations *revocations, struct revoke_search *search,
		       struct post_view *out_view)
{
	const struct node_key *persona = social_revoke_persona(revocations, search->persona);
	struct post_walk walk = {.from = search->has_cursor ? &search->cursor : NULL,
				 .author = node_key_public(persona),
				 .visit_max = VISITS_PER_TURN};
	struct finding finding = {.out = out_view};
	struct post_cursor next = search->cursor;
	int err = social_posts_walk(revocations->params.posts, &walk, find_one, &finding, &next);

	if (err < 0)
		return err;
	if (finding.is_found) {
		search->has_cursor = true;
		search->cursor.time_ms = out_view->time_ms;
		memcpy(search->cursor.id, out_view->id, POST_ID_LEN);
		return 1;
	}
	if (err == 0)
		return 0;
	search->has_cursor = true;
	search->cursor = next;
	return WEFT_EBUSY;
}

/* --- costs --- */

struct counting {
	struct revoke_cost *cost;
	const uint8_t *person;
	uint64_t wall_ms;
	bool person_has;
	unsigned other_cnt; /* with a copy, or that were given one */
};

static bool count_holder(void *arg, const struct post_holder *holder)
{
	struct counting *counting = arg;
	bool has = holder->flags & (HOLDER_HAS | HOLDER_GIVEN);

	if (memcmp(holder->person, counting->person, NODE_KEY_LEN) == 0) {
		counting->person_has = has;
		counting->cost->given_ms = holder->given_ms;
	} else {
		counting->other_cnt += has;
	}
	counting->cost->copy_cnt += has;
	return true;
}

int social_revoke_fetched(struct revocations *revocations, const uint8_t post[static POST_ID_LEN],
			  const uint8_t person[static NODE_KEY_LEN], struct revoke_cost *out_cost)
{
	struct counting counting = {.cost = out_cost,
				    .person = person,
				    .wall_ms = social_wall_ms(revocations->params.ground)};
	int err;

	out_cost->given_ms = 0;
	out_cost->copy_cnt = 0;
	err = social_holders_each(revocations->params.holders, post, count_holder, &counting);
	if (err < 0)
		return err;
	/* What is on its way out now may be this post. */
	counting.other_cnt += social_holders_is_giving(revocations->params.holders);
	out_cost->fetched = counting.person_has	 ? REVOKE_FETCHED
			    : counting.other_cnt ? REVOKE_MAYBE
						 : REVOKE_NEVER;
	out_cost->advised = out_cost->fetched == REVOKE_NEVER ? REVOKE_WRAP : REVOKE_SEAL;
	return 0;
}

/* Bytes of the attachments that are here. */
static uint64_t attached_len(struct revocations *revocations)
{
	struct store_snapshot *snapshot;
	uint64_t sum = 0;

	if (store_snapshot_open(revocations->params.ground->store, &snapshot) < 0)
		return 0;
	for (unsigned i = 0; i < revocations->post.attachment_cnt; i++) {
		const struct post_attachment *attachment = &revocations->post.attachments[i];

		for (size_t at = 0; at < attachment->ids_len; at += POST_ID_LEN) {
			int64_t len = store_blob_len(snapshot, attachment->ids + at);

			sum += len > 0 ? (uint64_t)len : 0;
		}
	}
	store_snapshot_close(snapshot);
	return sum;
}

/* Of the post that was loaded. */
static int cost_of(struct revocations *revocations, const struct post_view *view,
		   const struct revoke_scope *scope, struct revoke_cost *out_cost)
{
	const struct visibility *visibility = &revocations->visibility;
	uint64_t vis_len = view->visibility_len -
			   (visibility->recipient_cnt > 1 ? sizeof(visibility->recipients[0]) : 0);
	int err;

	*out_cost = (struct revoke_cost){.time_ms = view->time_ms,
					 .wrap_cnt = visibility->recipient_cnt - 1};
	memcpy(out_cost->post, view->id, POST_ID_LEN);
	err = social_revoke_fetched(revocations, view->id, scope->person, out_cost);
	if (err < 0)
		return err;
	out_cost->wrap_len = vis_len * out_cost->copy_cnt;
	out_cost->seal_len = (view->post_len + view->claim_len + POST_CLAIM_LEN_MAX + vis_len +
			      attached_len(revocations)) *
			     out_cost->copy_cnt;
	return 0;
}

/* 1: it was in scope, and its cost is out_cost; 0: it was not. */
static int cost_look(struct revocations *revocations, const struct post_view *view,
		     const struct revoke_scope *scope, struct revoke_cost *out_cost)
{
	struct post_copy *copy;
	int err = social_revoke_load(revocations, view->id, &copy);

	if (err == WEFT_EABSENT || err == WEFT_EBUSY)
		return 0;
	if (err < 0)
		return err;
	if (social_revoke_is_in_scope(revocations, scope))
		err = cost_of(revocations, view, scope, out_cost);
	else
		err = WEFT_EABSENT;
	social_post_copy_free(copy);
	return err == WEFT_EABSENT ? 0 : err < 0 ? err : 1;
}

static int plan_one(struct revocations *revocations, struct revoke_plan *plan)
{
	struct post_view view;
	int err = social_posts_look(revocations->params.posts, plan->scope.post, &view);

	if (err < 0)
		return err;
	if (!social_revoke_own(revocations, view.author) || !plan->cap)
		return WEFT_EABSENT;
	err = cost_look(revocations, &view, &plan->scope, plan->costs);
	plan->cnt = err > 0;
	plan->is_all = true;
	return err < 0 ? err : err == 0 ? WEFT_EABSENT : 0;
}

/* WEFT_EBUSY: cap costs were found, or this turn is over; 0: there is no more of the persona. */
static int plan_persona(struct revocations *revocations, struct revoke_plan *plan,
			struct revoke_search *search)
{
	while (plan->cnt < plan->cap) {
		struct post_view view;
		int err = social_revoke_find(revocations, search, &view);

		if (err <= 0)
			return err;
		err = cost_look(revocations, &view, &plan->scope, &plan->costs[plan->cnt]);
		if (err < 0)
			return err;
		plan->cnt += (unsigned)err;
	}
	return WEFT_EBUSY;
}

int social_revoke_plan(struct revocations *revocations, struct revoke_plan *plan)
{
	struct revoke_search search = {.persona = plan->persona};

	plan->cnt = 0;
	plan->is_all = false;
	if (plan->scope.post)
		return plan_one(revocations, plan);
	if (plan->from) {
		search.has_cursor = true;
		search.cursor = *plan->from;
	}
	while (social_revoke_persona(revocations, search.persona)) {
		int err = plan_persona(revocations, plan, &search);

		plan->next = search.cursor;
		plan->persona = search.persona;
		if (err == WEFT_EBUSY)
			return 0;
		if (err < 0)
			return err;
		search = (struct revoke_search){.persona = search.persona + 1};
	}
	plan->is_all = true;
	return 0;
}
