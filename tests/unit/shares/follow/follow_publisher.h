/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FOLLOW_PUBLISHER_H
#define WEFT_TESTS_FOLLOW_PUBLISHER_H

#include "follow_rig.h"

/* A publisher whose share the node of a follow_rig follows: its revisions and their parts. */

struct frig_share {
	struct node_key *key;
	uint8_t id[32];
	struct share_head head;
	uint8_t bytes[HEAD_LEN_MAX]; /* of head */
	size_t len;
};

static inline void frig_share_init(struct frig_share *share, uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number, 77};

	memset(share, 0, sizeof(*share));
	if (node_key_from_seed(seed, &share->key) < 0)
		abort();
	share_id_of(node_key_public(share->key), share->id);
}

static inline void frig_share_fini(struct frig_share *share)
{
	node_key_free(share->key);
}

static inline struct link frig_link(const struct frig_share *share, unsigned node_cnt)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = (uint8_t)node_cnt};

	memcpy(link.public_key, node_key_public(share->key), 32);
	for (unsigned i = 0; i < node_cnt; i++) {
		link.nodes[i].key[0] = (uint8_t)(i + 1);
		link.nodes[i].places.addr_cnt = 1;
		link.nodes[i].places.addrs[0] = (struct addr){
			.ip = {192, 0, 2, (uint8_t)(i + 1)}, .port = 7000, .family = ADDR_IPV4};
	}
	return link;
}

static inline void frig_head_make(struct frig_share *share, uint64_t seq,
				  const uint8_t manifest_id[static 32], uint64_t updated_s)
{
	struct writer w = writer_of(share->bytes, sizeof(share->bytes));

	share->head = (struct share_head){.seq = seq, .updated_s = updated_s};
	memcpy(share->head.manifest_id, manifest_id, 32);
	shares_head_write(&w, share->key, &share->head);
	share->len = writer_len(&w);
}

/* The fields of a revision besides its number and files. */
struct frig_revision {
	uint64_t seq;
	const char *title;
	uint64_t expires_s;
	const char *blocklist; /* its text; NULL: none */
	uint64_t part_cnt;     /* 0: a whole */
	bool is_private;
};

static inline void frig_items_add(struct frig *rig, struct manifest_builder *builder,
				  const struct frig_revision *revision, unsigned part)
{
	char path[32];
	uint8_t content_id[32] = {(uint8_t)revision->seq, (uint8_t)(part + 1)}, list_id[32];
	struct manifest_item item = {.content_id = content_id, .size = 7, .path = path};

	snprintf(path, sizeof(path), "a%03u", part);
	item.path_len = strlen(path);
	if (blobs_manifest_builder_add_item(builder, &item) < 0)
		abort();
	if (!revision->blocklist || part + 1 < revision->part_cnt)
		return;
	frig_object_add(rig, revision->blocklist, strlen(revision->blocklist), list_id);
	item = (struct manifest_item){.content_id = list_id,
				      .size = strlen(revision->blocklist),
				      .path = BLOCKLIST_NAME,
				      .path_len = strlen(BLOCKLIST_NAME)};
	if (blobs_manifest_builder_add_item(builder, &item) < 0)
		abort();
}

static inline void frig_part_add(struct frig *rig, struct manifest_builder *root,
				 const struct frig_revision *revision, unsigned number)
{
	struct manifest_builder *builder;
	struct manifest_part part;
	const uint8_t *bytes;
	uint8_t id[32];
	size_t len;

	if (blobs_manifest_builder_new(&builder) < 0)
		abort();
	frig_items_add(rig, builder, revision, number);
	part = (struct manifest_part){.manifest_id = id,
				      .item_cnt = blobs_manifest_builder_item_cnt(builder),
				      .byte_cnt = blobs_manifest_builder_byte_cnt(builder)};
	bytes = blobs_manifest_builder_encode(builder, MANIFEST_PART, 0, "", &len);
	part.len = len;
	frig_object_add(rig, bytes, len, id);
	if (blobs_manifest_builder_add_part(root, &part) < 0)
		abort();
	blobs_manifest_builder_free(builder);
}

/* frig_publish makes a revision that all nodes can give, and its head. */
static inline void frig_publish(struct frig *rig, struct frig_share *share,
				const struct frig_revision *revision)
{
	struct manifest_revision signed_revision = {
		.key = share->key,
		.seq = revision->seq,
		.created_s = frig_wall_s(rig),
		.expires_s = revision->expires_s,
		.title = revision->title ? revision->title : "",
		.description = "",
		.is_public = !revision->is_private,
	};
	struct manifest_builder *builder;
	const uint8_t *bytes;
	uint8_t id[32];
	size_t len;

	if (blobs_manifest_builder_new(&builder) < 0)
		abort();
	if (!revision->part_cnt)
		frig_items_add(rig, builder, revision, 0);
	for (unsigned i = 0; i < revision->part_cnt; i++)
		frig_part_add(rig, builder, revision, i);
	if (blobs_manifest_builder_sign(builder,
					revision->part_cnt ? MANIFEST_ROOT : MANIFEST_WHOLE,
					&signed_revision, &bytes, &len) < 0)
		abort();
	frig_object_add(rig, bytes, len, id);
	blobs_manifest_builder_free(builder);
	frig_head_make(share, revision->seq, id, frig_wall_s(rig));
}

/* frig_head_at gives node idx the share's head to answer, frig_head_put gives it to the overlay. */
static inline void frig_head_at(struct frig *rig, unsigned idx, const struct frig_share *share)
{
	memcpy(rig->nodes[idx].head, share->bytes, share->len);
	rig->nodes[idx].head_len = share->len;
}

static inline void frig_head_put(struct frig *rig, const struct frig_share *share)
{
	struct fake_value *value;
	uint8_t *bytes = malloc(1 + share->len);
	void *values = realloc(rig->overlay.values,
			       (rig->overlay.value_cnt + 1) * sizeof(*rig->overlay.values));

	if (!bytes || !values)
		abort();
	rig->overlay.values = values;
	value = &rig->overlay.values[rig->overlay.value_cnt++];
	bytes[0] = HEAD_OVERLAY_TAG;
	memcpy(bytes + 1, share->bytes, share->len);
	*value = (struct fake_value){
		.name_len = HEAD_OVERLAY_NAME_LEN, .bytes = bytes, .len = 1 + share->len};
	shares_head_overlay_name(share->id, (uint8_t *)value->name);
}

static inline void frig_overlay_clear(struct frig *rig)
{
	for (size_t i = 0; i < rig->overlay.value_cnt; i++)
		free(rig->overlay.values[i].bytes);
	rig->overlay.value_cnt = 0;
}

/* --- what a test asks --- */

static inline void frig_done(void *arg, int err)
{
	struct frig *rig = arg;

	rig->done_err = err;
	rig->done_cnt++;
}

static inline int frig_follow(struct frig *rig, const struct frig_share *share, unsigned node_cnt,
			      enum follow_tier tier)
{
	struct link link = frig_link(share, node_cnt);
	struct follow_ask ask = {.link = &link, .name = "", .tier = tier, .weight = FOLLOW_WEIGHT};
	int err = shares_follow_add(rig->follows, &ask, frig_done, rig);

	if (err == 0)
		frig_run(rig, 5 * NS_PER_S);
	return err;
}

#endif
