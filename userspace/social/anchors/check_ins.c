/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages 625 and 620 at an anchor. A peer leaves its own record and no other's, so what an anchor
 * says of a key is what that key's node said to it.
 */
#include <string.h>

#include "base/assert.h"
#include "social/anchors/anchors_state.h"

#define ASKERS_CAP 4096u
#define ANSWER_CAP (ANCHOR_ANSWER_LEN_MAX)
#define BUSY_MS	   60000u

static const struct mesh_ops *ops_of(const struct social_anchors *anchors)
{
	return anchors->params.ground->mesh.ops;
}

static void refuse(struct social_anchors *anchors, const struct mesh_call *call, const char *why,
		   uint64_t wait_ms)
{
	anchors->stats.refused_cnt++;
	ops_of(anchors)->answer_error(call->incoming, MESH_CODE_REFUSED, why, wait_ms);
}

static void refuse_malformed(struct social_anchors *anchors, const struct mesh_call *call,
			     const char *why)
{
	anchors->stats.malformed_cnt++;
	ops_of(anchors)->answer_error(call->incoming, MESH_CODE_MALFORMED, why, 0);
}

/* False: the call was answered. */
static bool is_admitted(struct social_anchors *anchors, struct request_quota *quota,
			const struct mesh_call *call, uint64_t now_ns)
{
	const struct social_ground *ground = anchors->params.ground;
	uint64_t wait_ms;

	if (ground->admit && !ground->admit(ground->ctx, call, now_ns))
		return false;
	wait_ms = request_quota_take(quota, call->peer_key, now_ns);
	if (wait_ms)
		refuse(anchors, call, "too many questions within a minute", wait_ms);
	return !wait_ms;
}

/* --- rows --- */

static void row_release(struct social_anchors *anchors, struct check_in_row *row, uint64_t now_ns)
{
	map_delete(&anchors->by_key, row->key);
	list_unlink(&row->by_time);
	fair_release(&anchors->places.fair, &row->share, now_ns);
	pool_release(&anchors->rows, row);
	anchors->stats.held_cnt--;
}

static bool row_is_over(const struct social_anchors *anchors, const struct check_in_row *row)
{
	uint64_t now_ms = social_wall_ms(anchors->params.ground);

	return now_ms >= row->came_ms + anchors->params.config.keep_s * 1000ull;
}

static void expire(struct social_anchors *anchors, uint64_t now_ns)
{
	struct check_in_row *row;

	while ((row = list_first(&anchors->by_time, struct check_in_row, by_time)) &&
	       row_is_over(anchors, row)) {
		row_release(anchors, row, now_ns);
		anchors->stats.expired_cnt++;
	}
}

/* NULL: the asker's share is full. */
static struct check_in_row *row_make(struct social_anchors *anchors, const struct mesh_call *call,
				     uint64_t now_ns)
{
	struct check_in_row *row = pool_acquire(&anchors->rows);
	struct fair_item *victim;
	struct fair_path path;

	weft_assert(row);
	ops_of(anchors)->asker_path(call->incoming, &path);
	memcpy(row->key, call->peer_key, sizeof(row->key));
	switch (fair_take(&anchors->places.fair, &path, &row->share, now_ns, &victim)) {
	case FAIR_TAKEN_FROM:
		anchors->stats.evicted_cnt++;
		row_release(anchors, container_of(victim, struct check_in_row, share), now_ns);
		break;
	case FAIR_TAKEN:
		break;
	case FAIR_BUSY:
		pool_release(&anchors->rows, row);
		return NULL;
	}
	if (map_put(&anchors->by_key, row->key, row) < 0)
		weft_assert(!"there is a place for each row");
	list_init(&row->by_time);
	list_push_back(&anchors->by_time, &row->by_time);
	anchors->stats.held_cnt++;
	return row;
}

/* --- CHECK_IN --- */

static void check_in_answer(struct social_anchors *anchors, const struct mesh_call *call)
{
	uint8_t bytes[CHECK_IN_ANSWER_LEN_MAX], record[SOCIAL_ADDRESS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes)), r = writer_of(record, sizeof(record));
	struct check_in_answer answer = {.keep_s = anchors->params.config.keep_s};

	/* The asker hands it on in its profile's company. */
	if (social_anchors_write_record(anchors, &r)) {
		answer.record = record;
		answer.record_len = writer_len(&r);
	}
	social_check_in_answer_write(&w, &answer);
	anchors->stats.check_in_cnt++;
	(void)ops_of(anchors)->answer(call->incoming, MESH_CHECK_IN, bytes, writer_len(&w), NULL);
}

/* Says what is wrong with a record as a check-in, or NULL. */
static const char *record_fault(const struct social_anchors *anchors, const struct mesh_call *call,
				const struct check_in *check_in, struct social_address *out_address)
{
	const struct social_ground *ground = anchors->params.ground;

	if (social_address_read(check_in->record, check_in->record_len, out_address) < 0)
		return "no address record";
	if (memcmp(out_address->node, call->peer_key, NODE_KEY_LEN) != 0)
		return "an address record of another node";
	if (out_address->time_ms > social_wall_ms(ground) + SOCIAL_ROUTE_AHEAD_MS)
		return "an address record from the future";
	return NULL;
}

static void on_check_in(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct social_anchors *anchors = ctx;
	struct social_address address;
	struct check_in check_in;
	struct check_in_row *row;
	const char *fault;

	if (!is_admitted(anchors, &anchors->check_ins, call, now_ns))
		return;
	if (!social_anchors_is_anchor(anchors)) {
		refuse(anchors, call, "this node is no anchor", BUSY_MS);
		return;
	}
	if (social_check_in_parse(call->payload, call->payload_len, &check_in) < 0) {
		refuse_malformed(anchors, call, "no check-in");
		return;
	}
	if ((fault = record_fault(anchors, call, &check_in, &address))) {
		refuse_malformed(anchors, call, fault);
		return;
	}
	expire(anchors, now_ns);
	row = map_lookup(&anchors->by_key, call->peer_key);
	if (!row && !(row = row_make(anchors, call, now_ns))) {
		refuse(anchors, call, "check-ins of your network have their share", BUSY_MS);
		return;
	}
	/* An older one of its own says that the node is there still. */
	row->came_ms = social_wall_ms(anchors->params.ground);
	list_unlink(&row->by_time);
	list_push_back(&anchors->by_time, &row->by_time);
	if (address.time_ms >= row->time_ms) {
		row->time_ms = address.time_ms;
		row->len = (uint16_t)check_in.record_len;
		memcpy(row->record, check_in.record, check_in.record_len);
	}
	check_in_answer(anchors, call);
}

/* --- ANCHOR_QUERY --- */

static void query_answer(struct social_anchors *anchors, const struct mesh_call *call,
			 const struct anchor_answer *answer)
{
	uint8_t bytes[ANSWER_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_anchor_answer_write(&w, answer);
	if (answer->record)
		anchors->stats.told_cnt++;
	else
		anchors->stats.untold_cnt++;
	(void)ops_of(anchors)->answer(call->incoming, MESH_ANCHOR_ANSWER, bytes, writer_len(&w),
				      NULL);
}

/* What this node has of a contact, for those that may hear it. */
static void route_tell(const struct social_anchors *anchors, const struct mesh_call *call,
		       const uint8_t *key, struct anchor_answer *out_answer)
{
	const struct social_anchors_params *params = &anchors->params;
	uint64_t now_ms = social_wall_ms(params->ground);
	struct social_route route;

	if (!params->may_tell || !params->may_tell(params->ctx, call->peer_key, key) ||
	    !social_route_look(params->routes, key, &route))
		return;
	out_answer->record = social_route_record(params->routes, key, &out_answer->record_len);
	if (now_ms > route.record_ms)
		out_answer->age_s = (now_ms - route.record_ms) / 1000;
}

/* A neighbour asks where a node is that this one named to it. */
static void named_tell(const struct social_anchors *anchors, const struct mesh_call *call,
		       const uint8_t *key, uint8_t record[static SOCIAL_ADDRESS_LEN_MAX],
		       struct anchor_answer *out_answer)
{
	const struct social_anchors_params *params = &anchors->params;
	uint64_t now_ms = social_wall_ms(params->ground);
	struct social_address address;
	size_t len = params->named ? params->named(params->ctx, call->peer_key, key, record) : 0;

	if (!len || social_address_read(record, len, &address) < 0)
		return;
	out_answer->record = record;
	out_answer->record_len = len;
	if (now_ms > address.time_ms)
		out_answer->age_s = (now_ms - address.time_ms) / 1000;
}

static void on_query(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct social_anchors *anchors = ctx;
	struct anchor_answer answer = {.record = NULL};
	const struct check_in_row *row;
	uint8_t key[NODE_KEY_LEN], record[SOCIAL_ADDRESS_LEN_MAX];

	if (!is_admitted(anchors, &anchors->queries, call, now_ns))
		return;
	if (social_anchor_query_parse(call->payload, call->payload_len, key) < 0) {
		refuse_malformed(anchors, call, "no question for a key");
		return;
	}
	expire(anchors, now_ns);
	row = map_lookup(&anchors->by_key, key);
	if (row) {
		answer.record = row->record;
		answer.record_len = row->len;
		answer.age_s = (social_wall_ms(anchors->params.ground) - row->came_ms) / 1000;
	} else {
		route_tell(anchors, call, key, &answer);
		if (!answer.record)
			named_tell(anchors, call, key, record, &answer);
	}
	query_answer(anchors, call, &answer);
}

/* --- life --- */

int social_check_ins_init(struct social_anchors *anchors, const uint64_t secret[2])
{
	const struct fair_config shares = {
		.name = "check-ins at this anchor",
		.cap_cnt = ANCHOR_CHECK_INS_CAP,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_PEER_LEVELS,
		.parts = FAIR_PEER_PARTS,
	};
	struct arena *arena = &anchors->arena;
	int err;

	list_init(&anchors->by_time);
	if ((err = pool_init(&anchors->rows, arena, sizeof(struct check_in_row),
			     ANCHOR_CHECK_INS_CAP + 1)) < 0 ||
	    (err = map_init(&anchors->by_key, arena, NODE_KEY_LEN, ANCHOR_CHECK_INS_CAP + 1,
			    secret)) < 0 ||
	    (err = fair_init(&anchors->places.fair, arena, &shares, secret)) < 0 ||
	    (err = request_quota_init(&anchors->queries, arena, ASKERS_CAP, ANCHOR_QUERIES_PER_MIN,
				      secret)) < 0)
		return err;
	return request_quota_init(&anchors->check_ins, arena, ASKERS_CAP, ANCHOR_CHECK_INS_PER_MIN,
				  secret);
}

int social_check_ins_handle(struct social_anchors *anchors)
{
	const struct mesh_seam *mesh = &anchors->params.ground->mesh;
	int err = mesh->ops->handle(mesh->mesh, MESH_CHECK_IN, on_check_in, anchors);

	if (err < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_ANCHOR_QUERY, on_query, anchors);
}
