/* SPDX-License-Identifier: Apache-2.0 */
/* ListGets, ListGetSources, and the row of a get for every method that replies with one. */
#include <string.h>

#include "api/methods.h"
#include "blobs/blobs.h"
#include "blobs/link.h"
#include "blobs/swarm/swarm.h"
#include "method_get_named.h"

/* A link of what the get is of and the first node that may have it; "" without one. */
static const char *get_link_text(const struct blobs_get *get, char text[static LINK_TEXT_CAP])
{
	struct link link = {.kind = LINK_COLLECTION};

	text[0] = '\0';
	if (get->node_cnt == 0)
		return text;
	memcpy(link.manifest_id, get->manifest_id, sizeof(link.manifest_id));
	memcpy(link.node_key, get->nodes[0].key, sizeof(link.node_key));
	link.places = get->nodes[0].places;
	return blobs_link_write(&link, text);
}

static struct api_string_list patterns_row(struct varlink_blocks *blocks, const char *patterns,
					   size_t len)
{
	struct api_string_list rows = {0};

	for (const char *at = patterns; at < patterns + len; at += strlen(at) + 1)
		varlink_push(blocks, &rows, varlink_text(blocks, at));
	return rows;
}

_Static_assert((int)API_GET_STATE_QUEUED == (int)BLOBS_GET_QUEUED &&
		       (int)API_GET_STATE_PAUSED == (int)BLOBS_GET_PAUSED,
	       "numbered as blobs/ has them");

struct api_get_info api_get_info(struct varlink_blocks *blocks, const struct api *api,
				 const struct blobs_get *get)
{
	static const char *const ends[] = {"", "asked", "ratio", "time"};
	const struct blobs_get_choice *choice = &get->choice;
	const struct blobs_seed *seed = &get->seed;
	char link[LINK_TEXT_CAP];
	uint64_t end_ns = get->ended_ns ? get->ended_ns : api->home->now_ns;
	struct swarm_iter iter = {.swarm = blobs_get_swarm(api->home->content, get->id)};
	struct swarm_source_view source;
	unsigned source_cnt = 0, open_cnt = 0;

	while (blobs_swarm_next(&iter, &source)) {
		source_cnt++;
		open_cnt += source.is_open;
	}
	return (struct api_get_info){
		.get_id = api_uint(get->id),
		.state = (enum api_get_state)get->shown_state,
		.link = varlink_text(blocks, get_link_text(get, link)),
		.target = varlink_text(blocks, get->target),
		.title = get->title ? varlink_text(blocks, get->title) : "",
		.node_id = get->node_cnt ? api_id(blocks, get->nodes[0].key) : "",
		.priority = get->priority,
		.sources = open_cnt,
		.sources_known = source_cnt,
		.items = api_uint(get->item_cnt),
		.items_done = api_uint(get->item_done_cnt),
		.bytes = api_uint(get->byte_cnt),
		.bytes_done = api_uint(get->byte_done_cnt),
		.bytes_reused = api_uint(get->reused_byte_cnt),
		.bytes_received = api_uint(get->received_byte_cnt),
		.bad_chunks = api_uint(get->bad_chunk_cnt),
		.elapsed_ms = api_uint((end_ns - get->started_ns) / 1000000),
		.code = get->err,
		.detail = get->detail ? varlink_text(blocks, get->detail) : "",
		.leaving = get->is_leaving,
		.seeded = blobs_get_is_seeded(get),
		.seed_end = ends[seed->end],
		.bytes_sent = api_uint(seed->sent_byte_cnt),
		.bytes_counted = api_uint(seed->counted_byte_cnt),
		.seed_percent = api_uint(seed->percent),
		.seed_for_s = api_uint(seed->for_s),
		API_IF(seeded_since_s, seed->since_s, api_uint(seed->since_s)),
		.kept_files = api_uint(get->kept_cnt),
		.follow_id = get->folder ? api_id(blocks, get->folder->share_id) : NULL,
		API_IF(revision, get->folder, api_uint(get->folder->revision)),
		.only = patterns_row(blocks, get->only, get->only_len),
		.exclude = patterns_row(blocks, choice->exclude, choice->exclude_len),
		.first = patterns_row(blocks, choice->first, choice->first_len),
		.sequential = choice->is_sequential,
	};
}

static bool is_running(const struct blobs_get *get)
{
	return get->state == BLOBS_GET_MANIFEST || get->state == BLOBS_GET_VERIFYING ||
	       get->state == BLOBS_GET_RECEIVING;
}

struct api_get_info_list api_gets(struct varlink_blocks *blocks, struct api *api, bool wants_all)
{
	struct blobs_get_iter iter = {.content = api->home->content};
	struct api_get_info_list rows = {0};
	const struct blobs_get *get;

	while ((get = blobs_gets_next(&iter)))
		if (get->is_stored && (wants_all || is_running(get)))
			varlink_push(blocks, &rows, api_get_info(blocks, api, get));
	return rows;
}

void api_list_gets(struct api *api, struct control_call *call, const struct api_list_gets_in *in,
		   uint64_t now_ns)
{
	(void)in, (void)now_ns;
	api_reply(call, list_gets, .gets = api_gets(control_blocks(call), api, true));
}

void api_list_get_sources(struct api *api, struct control_call *call,
			  const struct api_list_get_sources_in *in, uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_get_source_list rows = {0};
	struct swarm_source_view source;
	struct swarm_iter iter;

	(void)now_ns;
	if (!get)
		return;
	iter = (struct swarm_iter){.swarm = blobs_get_swarm(api->home->content, get->id)};
	while (blobs_swarm_next(&iter, &source))
		varlink_push(blocks, &rows,
			     {.node_id = api_id(blocks, source.key),
			      .asked = source.is_open,
			      .has_all = source.has_all,
			      .bytes_received = api_uint(source.received_byte_cnt),
			      .bytes_per_second = api_uint(source.rate),
			      .in_flight = source.asked_cnt,
			      .bad_chunks = source.bad_cnt});
	api_reply(call, list_get_sources, .sources = rows);
}
