/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request of a caller, checked and copied into a get: target, files or ranges, nodes.
 * Nothing here starts; an ask that is refused leaves a get that is only to be freed. Home
 * worker.
 */
#include <string.h>

#include "get_run_calls.h"
#include "get_state.h"

struct link_node blobs_get_sender(const struct link *link)
{
	struct link_node node = {.places = link->places};

	memcpy(node.key, link->node_key, sizeof(node.key));
	return node;
}

/* One more node, unless it is known or there is no room. */
static bool get_learn(struct get *get, const struct link_node *node)
{
	for (unsigned i = 0; i < get->view.node_cnt; i++)
		if (memcmp(get->asked.nodes[i].key, node->key, sizeof(node->key)) == 0)
			return false;
	if (get->view.node_cnt == BLOBS_GET_NODES_MAX)
		return false;
	get->asked.nodes[get->view.node_cnt++] = *node;
	return true;
}

void blobs_get_ask_merge(struct get *get, const struct get *asked)
{
	for (unsigned i = 0; i < asked->view.node_cnt; i++)
		if (get_learn(get, &asked->asked.nodes[i]) && get->get_run)
			blobs_get_run_hint(get->get_run, &asked->asked.nodes[i]);
	blobs_get_save_soon(get);
}

static int target_text_copy(const char *target, char out[static OBJECT_PATH_LEN_MAX])
{
	size_t len = strlen(target);

	if (target[0] != '/')
		return WEFT_EUNSAFE;
	while (len > 1 && target[len - 1] == '/')
		len--;
	if (len >= OBJECT_PATH_LEN_MAX)
		return WEFT_ETOOLARGE;
	memcpy(out, target, len);
	out[len] = '\0';
	return 0;
}

/* Each a file of its own, so no two are the same. */
static int ranges_take(struct get *get, const struct blobs_get_ask *ask)
{
	if (ask->range_cnt > BLOBS_GET_RANGES_MAX)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < ask->range_cnt; i++) {
		const struct blobs_range *range = &ask->ranges[i];

		if (range->len == 0 || range->off + range->len < range->off)
			return WEFT_EMALFORMED;
		for (unsigned at = 0; at < i; at++)
			if (ask->ranges[at].off == range->off && ask->ranges[at].len == range->len)
				return WEFT_EMALFORMED;
		get->asked.ranges[i] = *range;
	}
	get->asked.range_cnt = ask->range_cnt;
	return 0;
}

static void nodes_take(struct get *get, const struct blobs_get_ask *ask)
{
	struct link_node sender;

	memcpy(get->asked.manifest_id, ask->link ? ask->link->manifest_id : ask->manifest_id,
	       sizeof(get->asked.manifest_id));
	if (ask->link) {
		sender = blobs_get_sender(ask->link);
		(void)get_learn(get, &sender);
	}
	for (unsigned i = 0; i < ask->node_cnt; i++)
		(void)get_learn(get, &ask->nodes[i]);
}

int blobs_get_ask_take(struct get *get, const struct blobs_get_ask *ask)
{
	int err = target_text_copy(ask->target, get->asked.target);

	if (!err)
		err = ranges_take(get, ask);
	if (!err)
		err = ask->priority <= BLOBS_GET_PRIORITY_MAX ? 0 : WEFT_EMALFORMED;
	if (!err && ask->only)
		err = ask->only_len ? blobs_get_only_take(get, ask->only, ask->only_len)
				    : WEFT_EMALFORMED;
	if (!err)
		err = blobs_get_choice_take(get, &ask->choice);
	if (!err && get->asked.range_cnt && blobs_get_is_partial(get))
		err = WEFT_EMALFORMED;
	if (err)
		return err;
	if (ask->folder) {
		get->asked.folder = *ask->folder;
		get->view.folder = &get->asked.folder;
	}
	nodes_take(get, ask);
	get->asked.is_replacing = ask->is_replacing;
	get->view.priority = ask->priority;
	blobs_get_state_set(get, BLOBS_GET_QUEUED);
	return 0;
}
