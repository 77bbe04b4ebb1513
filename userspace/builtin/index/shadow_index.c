/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow_index.h"

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "builtin/builtin.h"
#include "index_entry_value.h"

#define SWEEP_NS      (60 * NS_PER_S)
#define SWEEP_ROW_MAX 1024 /* looked at in one turn */

uint64_t builtin_shadow_index_wall_s(const struct shadow_index *index)
{
	return index->clock->wall_ms(index->clock->ctx) / 1000;
}

bool builtin_shadow_index_is_over(const struct shadow_index *index, const struct shard *shard)
{
	return shard->at_s + SHADOW_INDEX_LIFE_S < builtin_shadow_index_wall_s(index);
}

bool builtin_shadow_index_place_read(const struct request *request, const char *mbid,
				     const char *kind, struct shard_place *out_place)
{
	const char *fault = builtin_shard_place_read(mbid, kind, out_place);

	if (fault)
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, fault);
	return !fault;
}

/* ---- looking up ---- */

static struct api_builtin_shard shard_reply(struct varlink_blocks *blocks,
					    const uint8_t key[SHARD_KEY_LEN],
					    const struct shard *shard)
{
	char text[HEX_TEXT_CAP(SHARD_KEY_LEN) + HEX_TEXT_CAP(SHARD_PREFIX_LEN)];
	struct api_builtin_shard reply = {
		.version = "1.0",
		.key = varlink_text(blocks, hex_write(key, SHARD_KEY_LEN, text)),
		.timestamp = api_uint(shard->at_s),
		.ttl = SHARD_TTL_S,
		.peer_cnt = shard->peer_cnt,
	};

	for (unsigned i = 0; i < shard->peer_cnt; i++)
		varlink_push(
			blocks, &reply.peers,
			varlink_text(blocks, hex_write(shard->hints[i], SHARD_HINT_LEN, text)));
	for (unsigned i = 0; i < shard->variant_cnt; i++) {
		const struct shard_variant *variant = &shard->variants[i];

		varlink_push(blocks, &reply.variants,
			     {.codec = varlink_text(blocks, variant->codec),
			      .kbps = variant->kbps,
			      .size = api_uint(variant->size),
			      .sha256 = varlink_text(
				      blocks, hex_write(variant->prefix, SHARD_PREFIX_LEN, text)),
			      .quality = variant->quality});
	}
	return reply;
}

void builtin_shadow_index_answer(struct service_call *call, const uint8_t key[SHARD_KEY_LEN],
				 const struct shard *shard, uint64_t now_ns)
{
	struct varlink_blocks blocks = {NULL};
	struct api_builtin_shard reply = shard_reply(&blocks, key, shard);

	builtin_reply_end(call, varlink_write(&api_builtin_shard_type, &reply), now_ns);
	varlink_blocks_free(&blocks);
}

/* This node's entry of key. False: the store cannot be read, and the call was answered. */
static bool shard_read(const struct shadow_index *index, const struct request *request,
		       const uint8_t key[SHARD_KEY_LEN], struct shard *out_shard)
{
	const struct provider_row_range range = {.prefix = key, .prefix_len = SHARD_KEY_LEN};
	struct provider_walk *walk = provider_walk_open(index->tenant, &range);
	struct provider_row row;
	struct shard of_peer;
	int err;

	*out_shard = (struct shard){0};
	while (provider_walk_next(walk, &row))
		if (row.key_len == SHADOW_INDEX_KEY_LEN &&
		    builtin_shard_parse(&of_peer, row.value, row.value_len) == 0 &&
		    !builtin_shadow_index_is_over(index, &of_peer)) {
			builtin_shard_merge(out_shard, &of_peer);
			builtin_shard_add_peer(out_shard, row.key + SHARD_KEY_LEN);
		}
	err = provider_walk_close(walk);
	if (err < 0)
		builtin_request_refuse(request, SERVICE_UNAVAILABLE,
				       "the index cannot be read now");
	return err == 0;
}

static void lookup_by_mbid(void *ctx, struct request *request)
{
	const char *mbid, *kind = builtin_shard_kinds[SHARD_RECORDING];
	struct shadow_index *index = ctx;
	struct shard_place place;
	struct shard shard;

	if (builtin_request_unpack(request, "{s:s, s?s}", "mbid", &mbid, "kind", &kind) &&
	    builtin_shadow_index_place_read(request, mbid, kind, &place) &&
	    shard_read(index, request, place.key, &shard))
		builtin_shadow_mesh_lookup(&index->mesh, request, &place, &shard);
}

static void query_shard(void *ctx, struct request *request)
{
	uint8_t key[SHARD_KEY_LEN];
	struct shard shard;
	const char *text;

	if (!builtin_request_unpack(request, "{s:s}", "key", &text))
		return;
	if (!hex_read(text, key, sizeof(key)))
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "a key is 40 hexadecimal digits");
	else if (shard_read(ctx, request, key, &shard))
		builtin_shadow_index_answer(request->call, key, &shard, request->now_ns);
}

static void query_batch(void *ctx, struct request *request)
{
	struct shard_place places[SHADOW_INDEX_BATCH_MAX];
	const char *kind = builtin_shard_kinds[SHARD_RECORDING];
	struct api_builtin_shards reply = {0};
	struct varlink_blocks blocks = {NULL};
	json_t *mbids, *mbid;
	struct shard shard;
	size_t i;

	if (!builtin_request_unpack(request, "{s:o, s?s}", "mbids", &mbids, "kind", &kind))
		return;
	if (!json_is_array(mbids) || json_array_size(mbids) > SHADOW_INDEX_BATCH_MAX) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "mbids is a list of at most 20");
		return;
	}
	json_array_foreach(mbids, i, mbid) if (!builtin_shadow_index_place_read(
						       request,
						       json_is_string(mbid)
							       ? json_string_value(mbid)
							       : "",
						       kind, &places[i])) return;
	for (i = 0; i < json_array_size(mbids); i++) {
		if (!shard_read(ctx, request, places[i].key, &shard))
			break;
		varlink_push(&blocks, &reply.shards, shard_reply(&blocks, places[i].key, &shard));
	}
	if (i == json_array_size(mbids))
		builtin_request_reply(request, varlink_write(&api_builtin_shards_type, &reply));
	varlink_blocks_free(&blocks);
}

void builtin_shadow_index_forget(void *ctx, const struct service_call *call)
{
	struct shadow_index *index = ctx;

	builtin_shadow_mesh_forget(&index->mesh, call);
}

const struct request_method builtin_shadow_index_methods[] = {
	{"RegisterTrack", builtin_shadow_index_register, false,
	 .takes = "mbid:string codec:string kbps:int size:int sha256:string quality:?int "
		  "kind:?string",
	 .gives = "key:string ttl:int",
	 .about = "The caller has a file of the recording, for seven days",
	 .example = "{\"mbid\": \"4d5a2c6a-3f0b-4c1d-9b6e-0a1b2c3d4e5f\", \"codec\": \"flac\", "
		    "\"kbps\": 900, \"size\": 31457280, \"sha256\": "
		    "\"0000000000000000000000000000000000000000000000000000000000000000\"}"},
	{"LookupByMbId", lookup_by_mbid, true, .takes = "mbid:string kind:?string",
	 .gives = "version:string key:string timestamp:int ttl:int peers:[]string peer_cnt:int "
		  "variants:[]object",
	 .about = "Who has it, here and as others told",
	 .example = "{\"mbid\": \"4d5a2c6a-3f0b-4c1d-9b6e-0a1b2c3d4e5f\"}"},
	{"QueryShard", query_shard, true, .takes = "key:string",
	 .gives = "version:string key:string timestamp:int ttl:int peers:[]string peer_cnt:int "
		  "variants:[]object",
	 .about = "What this node has under a key",
	 .example = "{\"key\": \"0000000000000000000000000000000000000000\"}"},
	{"QueryBatch", query_batch, true, .takes = "mbids:[]string kind:?string",
	 .gives = "shards:[]object", .about = "What this node has of at most 20",
	 .example = "{\"mbids\": [\"4d5a2c6a-3f0b-4c1d-9b6e-0a1b2c3d4e5f\"]}"},
	{"lookup", lookup_by_mbid, true, .takes = "mbid:string kind:?string",
	 .gives = "version:string key:string timestamp:int ttl:int peers:[]string peer_cnt:int "
		  "variants:[]object",
	 .about = "LookupByMbId, as a path of the gateway",
	 .example = "{\"mbid\": \"4d5a2c6a-3f0b-4c1d-9b6e-0a1b2c3d4e5f\"}"},
	{.name = NULL},
};

/* ---- life ---- */

static bool is_swept(const struct shadow_index *index, const struct provider_row *row)
{
	struct shard shard;

	return (builtin_shard_parse(&shard, row->value, row->value_len) < 0 ||
		builtin_shadow_index_is_over(index, &shard)) &&
	       !builtin_shadow_index_is_writing(index, row->key);
}

static void sweep_fire(struct timer *timer, uint64_t now_ns)
{
	static const struct ack quiet;
	struct shadow_index *index = container_of(timer, struct shadow_index, sweep.base);
	const struct provider_row_range range = {.from = index->sweep_from,
						 .from_len = SHADOW_INDEX_KEY_LEN};
	struct provider_walk *walk = provider_walk_open(index->tenant, &range);
	struct provider_write *write = provider_write_new(index->tenant);
	uint8_t next[SHADOW_INDEX_KEY_LEN] = {0};
	unsigned row_cnt = 0, over_cnt = 0;
	struct provider_row row;

	while (provider_walk_next(walk, &row)) {
		if (row.key_len != SHADOW_INDEX_KEY_LEN)
			continue;
		if (row_cnt++ == SWEEP_ROW_MAX) {
			memcpy(next, row.key, SHADOW_INDEX_KEY_LEN);
			break;
		}
		if (is_swept(index, &row)) {
			provider_write_delete(write, row.key, row.key_len);
			over_cnt++;
		}
	}
	/* After an error, or at the end, the next sweep begins at the first row. */
	if (provider_walk_close(walk) < 0)
		memset(next, 0, sizeof(next));
	memcpy(index->sweep_from, next, sizeof(next));
	if (over_cnt)
		builtin_acks_submit(index->acks, write, &quiet, now_ns);
	else
		provider_write_free(write);
	provider_timer_set(&index->sweep, now_ns + SWEEP_NS);
}

void builtin_shadow_index_declare(const struct builtin_config *config,
				  struct provider_declaration *out)
{
	static const char *const counters[SHADOW_INDEX_COUNTER_CNT] = {
		[SHADOW_INDEX_REGISTERED] = "registered",
		[SHADOW_INDEX_ASKED] = "overlay_lookups",
		[SHADOW_INDEX_PUBLISHED] = "overlay_puts",
	};

	out->row_cnt_max = config->track_cnt;
	out->row_len_max = config->track_cnt * (SHADOW_INDEX_KEY_LEN + SHARD_RECORD_LEN_MAX);
	out->tags[out->tag_cnt++] = SHARD_VALUE_TAG;
	out->run_max = SHADOW_INDEX_RUN_MAX;
	out->timer_max = 2; /* sweep and publish */
	out->counters = counters;
	out->counter_cnt = SHADOW_INDEX_COUNTER_CNT;
}

int builtin_shadow_index_init(struct shadow_index *index, struct arena *arena,
			      const struct builtin_params *params, struct acks *acks,
			      struct provider_tenant *tenant)
{
	int err;

	index->tenant = tenant;
	index->acks = acks;
	index->clock = &params->clock;
	list_init(&index->writes_by_age);
	if ((err = provider_timer_acquire(tenant, &index->sweep, sweep_fire)) < 0 ||
	    (err = builtin_quota_init(&index->registrations, arena, SHADOW_INDEX_REGISTER_PER_HOUR,
				      3600 * NS_PER_S, params->random)) < 0 ||
	    (err = pool_init(&index->writes, arena, sizeof(struct track_write), ACK_MAX)) < 0)
		return err;
	provider_timer_set(&index->sweep, params->now_ns + SWEEP_NS);
	return builtin_shadow_mesh_init(&index->mesh, index, arena, params);
}

void builtin_shadow_index_fini(struct shadow_index *index)
{
	provider_timer_release(&index->sweep);
	builtin_shadow_mesh_fini(&index->mesh);
}
