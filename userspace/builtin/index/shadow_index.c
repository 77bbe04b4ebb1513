/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow_index.h"

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "builtin/builtin.h"
#include "store/store.h"

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

json_t *builtin_shadow_index_json(const uint8_t key[SHARD_KEY_LEN], const struct shard *shard)
{
	char key_text[HEX_TEXT_CAP(SHARD_KEY_LEN)], text[HEX_TEXT_CAP(SHARD_PREFIX_LEN)];
	json_t *peers = json_array(), *variants = json_array();

	for (unsigned i = 0; i < shard->peer_cnt; i++)
		json_array_append_new(
			peers, json_string(hex_write(shard->hints[i], SHARD_HINT_LEN, text)));
	for (unsigned i = 0; i < shard->variant_cnt; i++) {
		const struct shard_variant *variant = &shard->variants[i];

		json_array_append_new(variants,
				      json_pack("{s:s, s:I, s:I, s:s, s:i}", "codec",
						variant->codec, "kbps", (json_int_t)variant->kbps,
						"size", (json_int_t)variant->size, "sha256",
						hex_write(variant->prefix, SHARD_PREFIX_LEN, text),
						"quality", (int)variant->quality));
	}
	return json_pack("{s:s, s:s, s:I, s:i, s:o, s:i, s:o}", "version", "1.0", "key",
			 hex_write(key, SHARD_KEY_LEN, key_text), "timestamp",
			 (json_int_t)shard->at_s, "ttl", SHARD_TTL_S, "peers", peers, "peer_cnt",
			 (int)shard->peer_cnt, "variants", variants);
}

/* This node's entry of key. False: the store cannot be read, and the call was answered. */
static bool shard_read(const struct shadow_index *index, const struct request *request,
		       const uint8_t key[SHARD_KEY_LEN], struct shard *out_shard)
{
	struct store_iter iter =
		store_iter_fresh(index->store, STORE_TRACKS, store_key(key, SHARD_KEY_LEN));
	struct shard of_peer;
	struct store_item item;
	int err;

	*out_shard = (struct shard){0};
	while (store_iter_next(&iter, &item) && memcmp(item.key, key, SHARD_KEY_LEN) == 0)
		if (builtin_shard_parse(&of_peer, item.value, item.value_len) == 0 &&
		    !builtin_shadow_index_is_over(index, &of_peer)) {
			builtin_shard_merge(out_shard, &of_peer);
			builtin_shard_add_peer(out_shard, item.key + SHARD_KEY_LEN);
		}
	err = store_iter_end(&iter);
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
		builtin_request_reply(request, builtin_shadow_index_json(key, &shard));
}

static void query_batch(void *ctx, struct request *request)
{
	struct shard_place places[SHADOW_INDEX_BATCH_MAX];
	const char *kind = builtin_shard_kinds[SHARD_RECORDING];
	json_t *mbids, *mbid, *shards;
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
	shards = json_array();
	for (i = 0; i < json_array_size(mbids); i++) {
		if (!shard_read(ctx, request, places[i].key, &shard)) {
			json_decref(shards);
			return;
		}
		json_array_append_new(shards, builtin_shadow_index_json(places[i].key, &shard));
	}
	builtin_request_reply(request, json_pack("{s:o}", "shards", shards));
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

static bool is_swept(const struct shadow_index *index, const struct store_item *item)
{
	struct shard shard;

	return (builtin_shard_parse(&shard, item->value, item->value_len) < 0 ||
		builtin_shadow_index_is_over(index, &shard)) &&
	       !builtin_shadow_index_is_writing(index, item->key);
}

static void sweep_fire(struct timer *timer, uint64_t now_ns)
{
	static const struct ack quiet;
	struct shadow_index *index = container_of(timer, struct shadow_index, sweep);
	struct store_iter iter = store_iter_fresh(
		index->store, STORE_TRACKS, store_key(index->sweep_from, SHADOW_INDEX_KEY_LEN));
	struct store_batch *batch = store_batch_new(index->store);
	uint8_t next[SHADOW_INDEX_KEY_LEN] = {0};
	unsigned row_cnt = 0, over_cnt = 0;
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		if (row_cnt++ == SWEEP_ROW_MAX) {
			memcpy(next, item.key, SHADOW_INDEX_KEY_LEN);
			break;
		}
		if (is_swept(index, &item)) {
			store_batch_delete(batch, STORE_TRACKS, store_key(item.key, item.key_len));
			over_cnt++;
		}
	}
	/* After an error, or at the end, the next sweep begins at the first row. */
	if (store_iter_end(&iter) < 0)
		memset(next, 0, sizeof(next));
	memcpy(index->sweep_from, next, sizeof(next));
	if (over_cnt)
		builtin_acks_submit(index->acks, batch, &quiet, now_ns);
	else
		store_batch_free(batch);
	timer_set(index->timers, timer, now_ns + SWEEP_NS);
}

int builtin_shadow_index_init(struct shadow_index *index, struct arena *arena,
			      const struct builtin_params *params, struct acks *acks)
{
	int err;

	index->store = params->store;
	index->acks = acks;
	index->clock = &params->clock;
	index->track_max = params->config.track_cnt;
	index->timers = params->timers;
	list_init(&index->writes_by_age);
	timer_init(&index->sweep, sweep_fire);
	if ((err = builtin_quota_init(&index->registrations, arena, SHADOW_INDEX_REGISTER_PER_HOUR,
				      3600 * NS_PER_S, params->random)) < 0 ||
	    (err = pool_init(&index->writes, arena, sizeof(struct track_write), ACK_MAX)) < 0)
		return err;
	timer_set(index->timers, &index->sweep, params->now_ns + SWEEP_NS);
	return builtin_shadow_mesh_init(&index->mesh, index, arena, params);
}

void builtin_shadow_index_fini(struct shadow_index *index)
{
	if (timer_is_set(&index->sweep))
		timer_cancel(index->timers, &index->sweep);
	builtin_shadow_mesh_fini(&index->mesh);
}
