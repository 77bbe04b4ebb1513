/* SPDX-License-Identifier: Apache-2.0 */
/* Registering: a peer's row of a key is read, extended and written. */
#include "codec/text/hex.h"
#include "builtin/builtin.h"
#include "shadow_index.h"

static const struct track_write *write_find(const struct shadow_index *index,
					    const uint8_t key[SHADOW_INDEX_KEY_LEN])
{
	const struct list_node *end = &index->writes_by_age;

	for (const struct list_node *node = end->prev; node != end; node = node->prev) {
		const struct track_write *write = container_of(node, struct track_write, node);

		if (memcmp(write->key, key, SHADOW_INDEX_KEY_LEN) == 0)
			return write;
	}
	return NULL;
}

bool builtin_shadow_index_is_writing(const struct shadow_index *index,
				     const uint8_t key[SHADOW_INDEX_KEY_LEN])
{
	return write_find(index, key) != NULL;
}

static void write_done(void *arg, bool is_kept, uint64_t now_ns)
{
	struct track_write *write = arg;

	if (is_kept) {
		provider_counter_add(write->index->tenant, SHADOW_INDEX_REGISTERED, 1);
		builtin_shadow_mesh_written(&write->index->mesh, write->key, &write->shard, now_ns);
	}
	list_unlink(&write->node);
	pool_release(&write->index->writes, write);
}

/* The oldest registration of a key, and how many there are. */
struct crowd {
	unsigned cnt;
	uint64_t oldest_s;
	uint8_t oldest[SHADOW_INDEX_KEY_LEN];
};

static int crowd_count(struct provider_tenant *tenant, const uint8_t *key, struct crowd *crowd)
{
	const struct provider_row_range range = {.prefix = key, .prefix_len = SHARD_KEY_LEN};
	struct provider_walk *walk = provider_walk_open(tenant, &range);
	struct provider_row row;
	struct shard shard;

	while (provider_walk_next(walk, &row)) {
		if (row.key_len != SHADOW_INDEX_KEY_LEN)
			continue;
		if (builtin_shard_parse(&shard, row.value, row.value_len) < 0)
			shard.at_s = 0;
		if (!crowd->cnt++ || shard.at_s < crowd->oldest_s) {
			crowd->oldest_s = shard.at_s;
			memcpy(crowd->oldest, row.key, SHADOW_INDEX_KEY_LEN);
		}
	}
	return provider_walk_close(walk);
}

static bool is_full(const struct shadow_index *index)
{
	struct provider_tenant_view view;

	provider_tenant_view(index->tenant, &view);
	return view.row_cnt >= view.row_cnt_max;
}

/*
 * The row of key in *out_shard, as it is or will be after pending writes. A new row is empty, and
 * the row that makes room for it is deleted. 0, WEFT_EFULL, -errno.
 */
static int row_read(struct shadow_index *index, const uint8_t key[SHADOW_INDEX_KEY_LEN],
		    struct provider_write *changes, struct shard *out_shard)
{
	const struct track_write *write = write_find(index, key);
	struct crowd crowd = {0};
	uint8_t record[SHARD_RECORD_LEN_MAX];
	int err;

	*out_shard = write ? write->shard : (struct shard){0};
	if (write)
		return 0;
	err = provider_row_read(index->tenant, key, SHADOW_INDEX_KEY_LEN, record, sizeof(record));
	if (err >= 0)
		err = builtin_shard_parse(out_shard, record, (size_t)err);
	else if (err == WEFT_EABSENT && !is_full(index))
		err = crowd_count(index->tenant, key, &crowd);
	else if (err == WEFT_EABSENT)
		err = WEFT_EFULL;
	if (err == 0 && crowd.cnt >= SHARD_PEER_MAX)
		provider_write_delete(changes, crowd.oldest, SHADOW_INDEX_KEY_LEN);
	return err;
}

static void row_write(struct shadow_index *index, const struct request *request,
		      const struct shard_place *place, const uint8_t key[SHADOW_INDEX_KEY_LEN],
		      const struct shard_variant *variant)
{
	struct provider_write *changes = provider_write_new(index->tenant);
	struct ack ack = {.call = request->call, .done = write_done};
	char key_text[HEX_TEXT_CAP(SHARD_KEY_LEN)];
	uint8_t record[SHARD_RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));
	struct track_write *write;
	struct shard shard;

	if (row_read(index, key, changes, &shard) < 0 || !(write = pool_acquire(&index->writes))) {
		provider_write_free(changes);
		builtin_request_refuse(request, SERVICE_UNAVAILABLE,
				       "the index takes no more tracks now");
		return;
	}
	builtin_shard_add(&shard, variant);
	shard.kind = place->kind;
	memcpy(shard.mbid, place->mbid, sizeof(shard.mbid));
	shard.at_s = builtin_shadow_index_wall_s(index);
	builtin_shard_write(&shard, &w);
	provider_write_put(changes, key, SHADOW_INDEX_KEY_LEN, record, writer_len(&w));
	write->index = index;
	write->shard = shard;
	memcpy(write->key, key, SHADOW_INDEX_KEY_LEN);
	list_init(&write->node);
	list_push_back(&index->writes_by_age, &write->node);
	ack.arg = write;
	ack.reply = builtin_json(registered, .key = hex_write(key, SHARD_KEY_LEN, key_text),
				 .ttl = SHADOW_INDEX_LIFE_S);
	builtin_acks_submit(index->acks, changes, &ack, request->now_ns);
}

/* A variant as JSON has it. */
struct track {
	const char *codec, *sha256;
	json_int_t kbps, quality, size;
};

/* Fills variant, or returns the fault. */
static const char *track_read(const struct track *track, struct shard_variant *variant)
{
	size_t codec_len = strspn(track->codec, "abcdefghijklmnopqrstuvwxyz0123456789");
	uint8_t sha256[32];

	if (codec_len == 0 || codec_len > SHARD_CODEC_LEN_MAX || track->codec[codec_len])
		return "a codec is 1 to 8 of a-z and 0-9";
	if (!hex_read(track->sha256, sha256, sizeof(sha256)) &&
	    !hex_read(track->sha256, sha256, SHARD_PREFIX_LEN))
		return "sha256 is the file's hash or its first 16 bytes, as hexadecimal digits";
	if (track->kbps < 0 || track->kbps > UINT32_MAX || track->quality < 0 ||
	    track->quality > 100 || track->size < 1)
		return "kbps is 0 to 4294967295, quality 0 to 100, size 1 or more bytes";
	*variant = (struct shard_variant){.quality = (uint8_t)track->quality,
					  .kbps = (uint32_t)track->kbps,
					  .size = (uint64_t)track->size};
	memcpy(variant->codec, track->codec, codec_len);
	memcpy(variant->prefix, sha256, SHARD_PREFIX_LEN);
	return NULL;
}

void builtin_shadow_index_register(void *ctx, struct request *request)
{
	const char *mbid, *kind = builtin_shard_kinds[SHARD_RECORDING], *fault;
	struct shadow_index *index = ctx;
	struct track track = {.quality = 0};
	uint8_t key[SHADOW_INDEX_KEY_LEN];
	struct shard_variant variant;
	struct shard_place place;

	if (!builtin_request_unpack(request, "{s:s, s?s, s:s, s:s, s:I, s:I, s?I}", "mbid", &mbid,
				    "kind", &kind, "codec", &track.codec, "sha256", &track.sha256,
				    "kbps", &track.kbps, "size", &track.size, "quality",
				    &track.quality) ||
	    !builtin_shadow_index_place_read(request, mbid, kind, &place))
		return;
	memcpy(key, place.key, SHARD_KEY_LEN);
	memcpy(key + SHARD_KEY_LEN, request->caller->key, MESH_KEY_LEN);
	if ((fault = track_read(&track, &variant)))
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, fault);
	else if (!builtin_quota_take(&index->registrations, request->caller->key, request->now_ns))
		builtin_request_refuse(request, SERVICE_RATE_LIMITED,
				       "a peer registers at most 100 tracks an hour");
	else
		row_write(index, request, &place, key, &variant);
}
