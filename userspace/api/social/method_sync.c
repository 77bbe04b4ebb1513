/* SPDX-License-Identifier: Apache-2.0 */
/* SyncPerson. The caller waits for the end of the pull. */
#include <errno.h>
#include <stdlib.h>

#include "api/methods.h"
#include "social/social.h"
#include "social/sync/sync.h"

struct person_sync {
	struct control_call *call; /* NULL: its caller left */
	char *name;
};

static void sync_fail(struct control_call *call, const char *name, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "there is no session with it", "weft peer connect"},
		{WEFT_EFULL, "too many questions to people's nodes are under way",
		 "try again in a moment"},
		{WEFT_ECLOSED, "its session ended", "weft peer connect"},
		{WEFT_EBUSY, "it named posts, and did not give them", "it is asked again later"},
		{-ENOMEM, "no memory", "free some and try again"},
		{0, NULL, "it is asked again by itself"},
	};

	control_fail_of(call, err, name, rows);
}

static void on_done(void *arg, const struct sync_outcome *outcome, uint64_t now_ns)
{
	struct person_sync *waiting = arg;

	(void)now_ns;
	if (waiting->call && outcome->err < 0)
		sync_fail(waiting->call, waiting->name, outcome->err);
	else if (waiting->call)
		api_reply(waiting->call, sync_person,
			  .sync = {.posts = outcome->new_cnt,
				   .sent_bytes = outcome->sent_len,
				   .received_bytes = outcome->received_len});
	free(waiting->name);
	free(waiting);
}

void api_sync_person(struct api *api, struct control_call *call,
		     const struct api_sync_person_in *in, uint64_t now_ns)
{
	struct person_sync *waiting;
	struct sync_order order = {.done = on_done};
	uint8_t author[NODE_KEY_LEN];
	int err;

	if (!api->social) {
		control_fail(call, WEFT_EREFUSED, "social", "it is switched off",
			     "set social.enabled = yes in weft.conf and start weftd again");
		return;
	}
	if (!api_node_id_read(api, call, in->node_id, order.key) ||
	    (in->author && !api_node_id_read(api, call, in->author, author)))
		return;
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting || !(waiting->name = strdup(in->node_id))) {
		free(waiting);
		sync_fail(call, in->node_id, -ENOMEM);
		return;
	}
	order.author = in->author ? author : NULL;
	order.arg = waiting;
	control_hold(call, &waiting->call);
	err = social_sync_with(social_sync_of(api->social), &order, now_ns);
	if (err == 0)
		return;
	sync_fail(call, waiting->name, err);
	free(waiting->name);
	free(waiting);
}
