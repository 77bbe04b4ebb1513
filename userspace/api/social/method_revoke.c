/* SPDX-License-Identifier: Apache-2.0 */
/* PlanRevocation, RevokeReader, ProveRevocation. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "api/social/person_words.h"
#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "social/people/circles.h"
#include "social/revoke/revoke.h"

#define PLAN_PAGE     128u
#define POST_TEXT_CAP (2 * POST_ID_LEN + 1)
/* Where a plan goes on: persona, time and id. */
#define NEXT_CAP (8 + 1 + 16 + 1 + POST_TEXT_CAP)

/* What a call names. */
struct naming {
	struct revoke_scope scope;
	uint8_t person[NODE_KEY_LEN], post[POST_ID_LEN];
	struct circle_view circle;
};

static bool post_read(struct control_call *call, const char *text, uint8_t out[static POST_ID_LEN])
{
	if (strlen(text) == 2 * POST_ID_LEN && hex_read(text, out, POST_ID_LEN))
		return true;
	control_fail(call, WEFT_EMALFORMED, text, "it is no id of a post",
		     "take one of weft feed: 64 letters and digits");
	return false;
}

/* false: call was failed. */
static bool naming_read(struct api *api, struct control_call *call, struct naming *naming,
			const char *const words[static 3])
{
	struct people *people = api_people(api, call);

	if (!people || !api_person_read(people, call, words[0], naming->person) ||
	    (words[1] && !post_read(call, words[1], naming->post)))
		return false;
	naming->scope.person = naming->person;
	naming->scope.post = words[1] ? naming->post : NULL;
	if (!words[2])
		return true;
	if (!social_circle_find(people, 0, words[2], &naming->circle)) {
		control_fail(call, WEFT_EABSENT, words[2], "there is no such circle",
			     "weft circle list names them");
		return false;
	}
	naming->scope.circle = naming->circle.id;
	return true;
}

/* --- the plan --- */

static bool next_read(const char *text, struct revoke_plan *plan, struct post_cursor *cursor)
{
	unsigned long long time_ms;
	char id[POST_TEXT_CAP];

	if (sscanf(text, "%u-%llx-%64s", &plan->persona, &time_ms, id) != 3 ||
	    strlen(id) != 2 * POST_ID_LEN || !hex_read(id, cursor->id, POST_ID_LEN))
		return false;
	cursor->time_ms = time_ms;
	plan->from = cursor;
	return true;
}

static const char *next_text(struct varlink_blocks *blocks, const struct revoke_plan *plan)
{
	char text[NEXT_CAP], id[POST_TEXT_CAP];

	snprintf(text, sizeof(text), "%u-%llx-%s", plan->persona,
		 (unsigned long long)plan->next.time_ms, hex_write(plan->next.id, POST_ID_LEN, id));
	return varlink_text(blocks, text);
}

static struct api_revocation_cost cost_row(struct varlink_blocks *blocks,
					   const struct revoke_cost *cost)
{
	char id[POST_TEXT_CAP];

	return (struct api_revocation_cost){
		.post = varlink_text(blocks, hex_write(cost->post, POST_ID_LEN, id)),
		.time_ms = (int64_t)cost->time_ms,
		.fetched = cost->fetched == REVOKE_NEVER   ? API_REVOCATION_COST_FETCHED_NEVER
			   : cost->fetched == REVOKE_MAYBE ? API_REVOCATION_COST_FETCHED_MAYBE
							   : API_REVOCATION_COST_FETCHED_YES,
		.given_ms = (int64_t)cost->given_ms,
		.wraps = cost->wrap_cnt,
		.copies = cost->copy_cnt,
		.wrap_bytes = (int64_t)cost->wrap_len,
		.seal_bytes = (int64_t)cost->seal_len,
		.way = cost->advised == REVOKE_WRAP ? API_REVOCATION_COST_WAY_WRAP
						    : API_REVOCATION_COST_WAY_SEAL,
	};
}

void api_plan_revocation(struct api *api, struct control_call *call,
			 const struct api_plan_revocation_in *in, uint64_t now_ns)
{
	static struct revoke_cost costs[PLAN_PAGE];
	const char *const words[] = {in->person, in->post, in->circle};
	struct varlink_blocks *blocks = control_blocks(call);
	struct revoke_plan plan = {.costs = costs, .cap = PLAN_PAGE};
	struct api_revocation_cost_list list = {0};
	struct post_cursor cursor;
	struct naming naming = {0};
	int err;

	(void)now_ns;
	if (!naming_read(api, call, &naming, words))
		return;
	plan.scope = naming.scope;
	if (in->next && !next_read(in->next, &plan, &cursor)) {
		control_fail(call, WEFT_EMALFORMED, in->next, "it is no place in a plan",
			     "take next of the reply before");
		return;
	}
	err = social_revoke_plan(social_revocations_of(api->social), &plan);
	if (err < 0) {
		control_fail(call, err, in->post ? in->post : in->person,
			     err == WEFT_EABSENT
				     ? "it is no post of this node that the person reads"
				     : weft_err_text(err),
			     "weft post revoke PERSON --plan lists those that it reads");
		return;
	}
	for (unsigned i = 0; i < plan.cnt; i++)
		varlink_push(blocks, &list, cost_row(blocks, &costs[i]));
	api_reply(call, plan_revocation, .posts = list,
		  .next = plan.is_all ? NULL : next_text(blocks, &plan));
}

/* --- the revocation --- */

struct revoking {
	struct control_call *call; /* NULL: the caller left; the revocation goes on */
};

static void caller_left(void *arg)
{
	((struct revoking *)arg)->call = NULL;
}

static void on_revoked(void *arg, const struct revoke_outcome *outcome)
{
	struct revoking *revoking = arg;

	if (revoking->call && outcome->err < 0)
		control_fail(revoking->call, outcome->err, "the revocation",
			     weft_err_text(outcome->err),
			     "weft post revoke once more goes on with what is left");
	else if (revoking->call)
		api_reply(revoking->call, revoke_reader,
			  .revocation = {.wrapped = outcome->wrapped_cnt,
					 .sealed = outcome->sealed_cnt,
					 .wraps = outcome->wrap_cnt,
					 .kept = outcome->kept_cnt});
	free(revoking);
}

static bool way_read(struct control_call *call, const char *text, enum revoke_way *out_way)
{
	static const char *const words[] = {"advised", "wrap", "seal"};

	*out_way = REVOKE_ADVISED;
	for (unsigned i = 0; text && i < 3; i++) {
		*out_way = (enum revoke_way)i;
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	if (!text)
		return true;
	control_fail(call, WEFT_EMALFORMED, text, "it is no way to take a post from a reader",
		     "advised, wrap or seal");
	return false;
}

void api_revoke_reader(struct api *api, struct control_call *call,
		       const struct api_revoke_reader_in *in, uint64_t now_ns)
{
	const char *const words[] = {in->person, in->post, in->circle};
	struct revoke_ask ask = {.done = on_revoked};
	struct naming naming = {0};
	struct revoking *revoking;
	int err;

	if (!naming_read(api, call, &naming, words) || !way_read(call, in->way, &ask.way))
		return;
	revoking = malloc(sizeof(*revoking));
	if (!revoking) {
		control_fail(call, -ENOMEM, in->person, "no memory", "free some and try again");
		return;
	}
	*revoking = (struct revoking){call};
	ask.scope = naming.scope;
	ask.arg = revoking;
	control_on_gone(call, caller_left, revoking);
	err = social_revoke_start(social_revocations_of(api->social), &ask, now_ns);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	free(revoking);
	control_fail(call, err, in->person,
		     err == WEFT_EREFUSED ? "it is a person of this node"
		     : err == WEFT_EFULL  ? "too many revocations wait"
					  : weft_err_text(err),
		     "weft social status");
}

/* --- the proof --- */

void api_prove_revocation(struct api *api, struct control_call *call,
			  const struct api_prove_revocation_in *in, uint64_t now_ns)
{
	const char *const words[] = {in->person, in->post, NULL};
	uint8_t *bytes = malloc(REVOKE_PROOF_LEN_MAX);
	char *text = malloc(REVOKE_PROOF_LEN_MAX / 3 * 4 + 8);
	struct writer w = writer_of(bytes, bytes ? REVOKE_PROOF_LEN_MAX : 0);
	struct naming naming = {0};
	int err = bytes && text ? 0 : -ENOMEM;

	(void)now_ns;
	if (naming_read(api, call, &naming, words)) {
		if (err == 0)
			err = social_revoke_proof(social_revocations_of(api->social), naming.post,
						  naming.person, &w);
		if (err < 0) {
			control_fail(call, err, in->post,
				     err == WEFT_EABSENT ? "the person was not taken off it"
							 : weft_err_text(err),
				     "weft post revoke PERSON --plan lists what it reads");
		} else {
			base64_write(bytes, writer_len(&w), text);
			api_reply(call, prove_revocation, .proof = text);
		}
	}
	free(bytes);
	free(text);
}
