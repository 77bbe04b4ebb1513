/* SPDX-License-Identifier: Apache-2.0 */
/* Asks another node for the shares that it publishes to all, a page at a time (402). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "follow_state.h"
#include "shares/share_list.h"

_Static_assert(FOLLOW_LIST_HEADS_MAX == LIST_HEADS_MAX && FOLLOW_LIST_CURSOR_LEN == LIST_CURSOR_LEN,
	       "a page is that of the message");

struct follow_listing {
	struct list_node node; /* of follows->listings */
	struct follows *follows;
	struct mesh_request *request;
	follow_listed_fn listed;
	void *arg;
	uint8_t buf[LIST_ANSWER_CAP + MESH_FRAME_OVERHEAD];
};

static void listing_free(struct follow_listing *listing)
{
	list_unlink(&listing->node);
	listing->follows->listing_cnt--;
	free(listing);
}

/* A node that lies about one share may be right about the others. */
static void heads_read(const struct follows *follows, const struct list_answer *answer,
		       struct follow_list *list)
{
	uint64_t latest_s = follows_wall_s(follows) + HEAD_SKEW_S;

	for (unsigned i = 0; i < answer->head_cnt; i++) {
		struct share_head *head = &list->heads[list->head_cnt];

		if (shares_head_parse(answer->heads[i].bytes, answer->heads[i].len, head) == 0 &&
		    head->updated_s <= latest_s)
			list->head_cnt++;
		else
			list->false_cnt++;
	}
}

static int page_read(const struct follows *follows, const struct mesh_reply *reply,
		     struct follow_list *list)
{
	struct list_answer answer;

	if (reply->type != MESH_SHARE_LIST ||
	    shares_list_answer_parse(reply->payload, reply->payload_len, &answer) < 0)
		return WEFT_EMALFORMED;
	heads_read(follows, &answer, list);
	list->has_cursor = answer.has_cursor;
	memcpy(list->cursor, answer.cursor, sizeof(list->cursor));
	return 0;
}

static void answered(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct follow_listing *listing = arg;
	struct follow_list list = {.err = reply->err};
	follow_listed_fn listed = listing->listed;
	void *listed_arg = listing->arg;

	if (list.err == 0)
		list.err = page_read(listing->follows, reply, &list);
	listing_free(listing);
	listed(listed_arg, &list, now_ns);
}

int shares_follow_list_start(struct follows *follows, const struct follow_list_ask *ask,
			     uint64_t now_ns, struct follow_listing **out_listing)
{
	struct list_request request = {.has_cursor = ask->cursor != NULL};
	struct follow_listing *listing;
	uint8_t payload[LIST_REQUEST_CAP];
	struct mesh_ask mesh = {
		.type = MESH_LIST_SHARES,
		.payload = payload,
		.timeout_ns = follows->params.config.timeout_ns,
		.reply = answered,
	};
	int err;

	if (follows->listing_cnt == FOLLOW_LISTINGS_MAX)
		return WEFT_EFULL;
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	if (ask->cursor)
		memcpy(request.cursor, ask->cursor, sizeof(request.cursor));
	memcpy(mesh.peer.key, ask->key, sizeof(mesh.peer.key));
	mesh.payload_len = shares_list_request_write(&request, payload);
	mesh.reply_buf = listing->buf;
	mesh.reply_cap = sizeof(listing->buf);
	mesh.arg = listing;
	listing->follows = follows;
	listing->listed = ask->listed;
	listing->arg = ask->arg;
	err = follows->params.mesh.ops->ask(follows->params.mesh.mesh, &mesh, now_ns,
					    &listing->request);
	if (err < 0) {
		free(listing);
		return err;
	}
	list_push_back(&follows->listings, &listing->node);
	follows->listing_cnt++;
	*out_listing = listing;
	return 0;
}

void shares_follow_list_cancel(struct follow_listing *listing)
{
	listing->follows->params.mesh.ops->cancel(listing->request);
	listing_free(listing);
}

void shares_follow_listings_stop(struct follows *follows)
{
	while (!list_is_empty(&follows->listings)) {
		struct follow_listing *listing =
			container_of(follows->listings.next, struct follow_listing, node);
		const struct follow_list list = {.err = WEFT_ECANCELLED};
		follow_listed_fn listed = listing->listed;
		void *arg = listing->arg;

		shares_follow_list_cancel(listing);
		listed(arg, &list, follows->now_ns);
	}
}
