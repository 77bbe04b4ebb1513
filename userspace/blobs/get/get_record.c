/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a get: 0 version 1 | 2 target | 3 replacing | 6 state |
 * 7 error | 8 detail | 9 title | 10 items | 11 bytes | 12 items done |
 * 13 bytes done | 14 part ids (one byte string) | 15 something is staged |
 * 16 it is to be taken back | 17 manifest id | 18 nodes: [key, [PeerAddr]] each |
 * 19 priority | 20 ranges: [offset, length] each | 21 only (one byte string) |
 * 22 exclude | 23 first (as only) | 24 sequential | 25 taken back, it keeps what is staged? |
 * 30 it is leaving | 31 and deletes | 32 end of seeding | 33 percent? | 34 seconds? | 35 bytes
 * sent | 36 of them before counting began | 37 seconds since 1970 when counting began |
 * 40 the followed share whose folder it fills | 41 revision | 42 mirror | 43 versions kept |
 * 44 number of its version, that of the revision where it is missing.
 * Before there were swarms: 1 link, 4 range offset?, 5 range length?.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/peer_addr.h"
#include "get_state.h"

#define RECORD_VERSION 1

void blobs_get_record_key(uint64_t id, uint8_t key[static GET_RECORD_KEY_LEN])
{
	struct writer w = writer_of(key, GET_RECORD_KEY_LEN);

	writer_be64(&w, id);
}

static void write_nodes(struct writer *w, const struct get *get)
{
	cbor_write_uint(w, 18);
	cbor_write_array(w, get->view.node_cnt);
	for (unsigned i = 0; i < get->view.node_cnt; i++) {
		cbor_write_array(w, 2);
		cbor_write_bytes(w, get->nodes[i].key, sizeof(get->nodes[i].key));
		peer_addrs_write(w, get->nodes[i].addrs, get->nodes[i].addr_cnt);
	}
}

static void write_ranges(struct writer *w, const struct get *get)
{
	cbor_write_uint(w, 20);
	cbor_write_array(w, get->range_cnt);
	for (unsigned i = 0; i < get->range_cnt; i++) {
		cbor_write_array(w, 2);
		cbor_write_uint(w, get->ranges[i].off);
		cbor_write_uint(w, get->ranges[i].len);
	}
}

static void store_write_end(struct writer *w, const struct get *get)
{
	const struct blobs_seed *seed = &get->view.seed;

	cbor_field_bool(w, 30, get->view.is_leaving);
	cbor_field_bool(w, 31, get->is_deleting);
	cbor_field_uint(w, 32, seed->end);
	if (seed->has_percent)
		cbor_field_uint(w, 33, seed->percent);
	if (seed->has_for)
		cbor_field_uint(w, 34, seed->for_s);
	cbor_field_uint(w, 35, seed->sent_byte_cnt);
	cbor_field_uint(w, 36, get->seed_base);
	cbor_field_uint(w, 37, seed->since_s);
	if (!get->view.folder)
		return;
	cbor_field_bytes(w, 40, get->folder.share_id, sizeof(get->folder.share_id));
	cbor_field_uint(w, 41, get->folder.revision);
	cbor_field_bool(w, 42, get->folder.is_mirror);
	cbor_field_uint(w, 43, get->folder.version_cnt);
	cbor_field_uint(w, 44, get->version);
}

/* What was asked for last, though the get may still be ending what was asked before. */
static void write_choice(struct writer *w, const struct get *get)
{
	const struct blobs_get_choice *choice = &get->view.choice;

	cbor_field_bytes(w, 21, get->only, get->view.only_len);
	cbor_field_bytes(w, 22, get->exclude, choice->exclude_len);
	cbor_field_bytes(w, 23, get->first, choice->first_len);
	cbor_field_bool(w, 24, choice->is_sequential);
}

int blobs_get_record_write(const struct get *get, uint8_t *out, size_t cap)
{
	struct writer w = writer_of(out, cap);

	cbor_write_map(&w, 28u + get->keeps_staged + (get->view.folder ? 5u : 0) +
				   get->view.seed.has_percent + get->view.seed.has_for);
	cbor_field_uint(&w, 0, RECORD_VERSION);
	/* Paths need not be UTF-8, so these are byte strings. */
	cbor_field_bytes(&w, 2, get->target, strlen(get->target));
	cbor_field_bool(&w, 3, get->is_replacing);
	cbor_field_uint(&w, 6, get->view.state);
	cbor_write_uint(&w, 7);
	cbor_write_int(&w, get->view.err);
	cbor_field_bytes(&w, 8, get->detail, strlen(get->detail));
	cbor_field_text(&w, 9, get->title, strlen(get->title));
	cbor_field_uint(&w, 10, get->view.item_cnt);
	cbor_field_uint(&w, 11, get->view.byte_cnt);
	cbor_field_uint(&w, 12, get->view.item_done_cnt);
	cbor_field_uint(&w, 13, get->view.byte_done_cnt);
	cbor_field_bytes(&w, 14, get->part_ids, (size_t)get->part_cnt * OBJECT_ID_LEN);
	cbor_field_bool(&w, 15, get->has_staged);
	cbor_field_bool(&w, 16, get->is_cancelled);
	cbor_field_bytes(&w, 17, get->manifest_id, sizeof(get->manifest_id));
	write_nodes(&w, get);
	cbor_field_uint(&w, 19, get->view.priority);
	write_ranges(&w, get);
	write_choice(&w, get->chosen ? get->chosen : get);
	if (get->keeps_staged)
		cbor_field_bool(&w, 25, true);
	store_write_end(&w, get);
	return w.bad ? WEFT_EFULL : (int)writer_len(&w);
}

/* A byte string without NUL inside, as text of at most cap - 1 bytes. */
static void read_bytes_text(struct cbor_reader *r, char *dst, size_t cap)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || len >= cap || memchr(bytes, 0, len)) {
		cbor_fail(r);
		return;
	}
	memcpy(dst, bytes, len);
	dst[len] = '\0';
}

static void read_link(struct cbor_reader *r, struct get *get)
{
	char text[LINK_TEXT_CAP] = "";
	struct link link;

	cbor_read_text_copy(r, text, sizeof(text));
	if (cbor_is_bad(r) || blobs_link_parse(text, &link) < 0) {
		cbor_fail(r);
		return;
	}
	memcpy(get->manifest_id, link.manifest_id, sizeof(get->manifest_id));
	get->nodes[0] = blobs_get_sender(&link);
	get->view.node_cnt = 1;
}

static void read_nodes(struct cbor_reader *r, struct get *get)
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) > BLOBS_GET_NODES_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct link_node *node = &get->nodes[cnt++];

		if (cbor_enter_array(r) != 2)
			cbor_fail(r);
		cbor_read_fixed(r, node->key, sizeof(node->key));
		node->addr_cnt = (uint8_t)peer_addrs_read(r, node->addrs);
		if (cbor_next(r))
			cbor_fail(r);
	}
	get->view.node_cnt = cnt;
}

static void read_ranges(struct cbor_reader *r, struct get *get)
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) > BLOBS_GET_RANGES_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct blobs_range *range = &get->ranges[cnt++];

		if (cbor_enter_array(r) != 2)
			cbor_fail(r);
		range->off = cbor_read_uint(r);
		range->len = cbor_read_uint(r);
		if (cbor_next(r))
			cbor_fail(r);
	}
	get->range_cnt = cnt;
}

static void read_patterns(struct cbor_reader *r, struct get *get,
			  int (*take)(struct get *get, const char *patterns, size_t len))
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || take(get, (const char *)bytes, len) < 0)
		cbor_fail(r);
}

static void read_part_ids(struct cbor_reader *r, struct get *get)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || len % OBJECT_ID_LEN || len / OBJECT_ID_LEN > MANIFEST_PARTS_MAX) {
		cbor_fail(r);
		return;
	}
	if (len == 0)
		return;
	get->part_ids = malloc(len);
	if (!get->part_ids) {
		cbor_fail(r);
		return;
	}
	memcpy(get->part_ids, bytes, len);
	get->part_cnt = (uint32_t)(len / OBJECT_ID_LEN);
}

static void read_seed_field(struct cbor_reader *r, uint64_t key, struct get *get)
{
	struct blobs_seed *seed = &get->view.seed;

	switch (key) {
	case 32:
		seed->end = (enum blobs_seed_end)cbor_read_uint_max(r, BLOBS_SEED_TIME);
		break;
	case 33:
		seed->has_percent = true;
		seed->percent = cbor_read_uint_max(r, BLOBS_SEED_PERCENT_MAX);
		break;
	case 34:
		seed->has_for = true;
		seed->for_s = cbor_read_uint_max(r, BLOBS_SEED_FOR_S_MAX);
		break;
	case 35:
		get->seed_saved = seed->sent_byte_cnt = cbor_read_uint(r);
		break;
	case 36:
		get->seed_base = cbor_read_uint(r);
		break;
	case 37:
		seed->since_s = cbor_read_uint(r);
		break;
	default:
		cbor_skip(r);
	}
}

static void read_folder_field(struct cbor_reader *r, uint64_t key, struct get *get)
{
	struct blobs_folder *folder = &get->folder;

	switch (key) {
	case 40:
		get->view.folder = folder;
		cbor_read_fixed(r, folder->share_id, sizeof(folder->share_id));
		break;
	case 41:
		get->version = folder->revision = cbor_read_uint(r);
		break;
	case 42:
		folder->is_mirror = cbor_read_bool(r);
		break;
	case 43:
		folder->version_cnt = (unsigned)cbor_read_uint_max(r, BLOBS_VERSIONS_MAX);
		break;
	case 44:
		get->version = cbor_read_uint(r);
		break;
	default:
		cbor_skip(r);
	}
}

/* What is shown of the get. */
static void read_view_field(struct cbor_reader *r, uint64_t key, struct blobs_get *view)
{
	switch (key) {
	case 6:
		view->state = (enum blobs_get_state)cbor_read_uint_max(r, BLOBS_GET_PAUSED);
		break;
	case 7:
		view->err = (int)cbor_read_int(r);
		break;
	case 10:
		view->item_cnt = cbor_read_uint(r);
		break;
	case 11:
		view->byte_cnt = cbor_read_uint(r);
		break;
	case 12:
		view->item_done_cnt = cbor_read_uint(r);
		break;
	case 13:
		view->byte_done_cnt = cbor_read_uint(r);
		break;
	case 19:
		view->priority = (unsigned)cbor_read_uint_max(r, BLOBS_GET_PRIORITY_MAX);
		break;
	default:
		cbor_skip(r);
	}
}

/* NULL: the field of key is no flag. */
static bool *flag_of(struct get *get, uint64_t key)
{
	switch (key) {
	case 3:
		return &get->is_replacing;
	case 15:
		return &get->has_staged;
	case 16:
		return &get->is_cancelled;
	case 24:
		return &get->view.choice.is_sequential;
	case 25:
		return &get->keeps_staged;
	case 30:
		return &get->view.is_leaving;
	case 31:
		return &get->is_deleting;
	default:
		return NULL;
	}
}

static void read_field(struct cbor_reader *r, uint64_t key, struct get *get)
{
	bool *flag = flag_of(get, key);

	if (flag) {
		*flag = cbor_read_bool(r);
		return;
	}
	switch (key) {
	case 0:
		if (cbor_read_uint(r) != RECORD_VERSION)
			cbor_fail(r);
		break;
	case 1:
		read_link(r, get);
		break;
	case 2:
		read_bytes_text(r, get->target, sizeof(get->target));
		break;
	case 4:
		get->range_cnt = 1;
		get->ranges[0].off = cbor_read_uint(r);
		break;
	case 5:
		get->ranges[0].len = cbor_read_uint(r);
		break;
	case 8:
		read_bytes_text(r, get->detail, sizeof(get->detail));
		break;
	case 9:
		cbor_read_text_copy(r, get->title, sizeof(get->title));
		break;
	case 14:
		read_part_ids(r, get);
		break;
	case 17:
		cbor_read_fixed(r, get->manifest_id, sizeof(get->manifest_id));
		break;
	case 18:
		read_nodes(r, get);
		break;
	case 20:
		read_ranges(r, get);
		break;
	case 21:
		read_patterns(r, get, blobs_get_only_take);
		break;
	case 22:
		read_patterns(r, get, blobs_get_exclude_take);
		break;
	case 23:
		read_patterns(r, get, blobs_get_first_take);
		break;
	default:
		if (key >= 40)
			read_folder_field(r, key, get);
		else if (key >= 32)
			read_seed_field(r, key, get);
		else
			read_view_field(r, key, &get->view);
	}
}

int blobs_get_record_parse(const void *data, size_t len, struct get *get)
{
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		read_field(&r, key, get);
	err = cbor_reader_finish(&r);
	return err ? err : get->target[0] == '/' ? 0 : WEFT_EMALFORMED;
}
