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
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/cbor_fields.h"
#include "get_state.h"
#include "store/store.h"
#include "blobs/blobs_state.h"

#define RECORD_VERSION 1
#define SAVE_RETRY_NS  (100 * NS_PER_MS)
/* A record without its part ids. */
#define RECORD_LEN_MAX                                                                             \
	(OBJECT_PATH_LEN_MAX + GET_DETAIL_CAP + MANIFEST_TITLE_CAP + 3 * BLOBS_GET_ONLY_LEN_MAX +  \
	 1024u)

void blobs_get_record_key(uint64_t id, uint8_t key[static GET_RECORD_KEY_LEN])
{
	struct writer w = writer_of(key, GET_RECORD_KEY_LEN);

	writer_be64(&w, id);
}

/* Before there were swarms. */
static void link_read(struct cbor_reader *r, void *of)
{
	struct get *get = of;
	char text[LINK_TEXT_CAP] = "";
	struct link link;

	cbor_read_text_copy(r, text, sizeof(text));
	if (cbor_is_bad(r) || blobs_link_parse(text, &link) < 0) {
		cbor_fail(r);
		return;
	}
	memcpy(get->asked.manifest_id, link.manifest_id, sizeof(get->asked.manifest_id));
	get->asked.nodes[0] = blobs_get_sender(&link);
	get->view.node_cnt = 1;
}

static void err_read(struct cbor_reader *r, void *member)
{
	*(int *)member = (int)cbor_read_int(r);
}

static void err_write(struct writer *w, const void *member)
{
	cbor_write_int(w, *(const int *)member);
}

static void state_read(struct cbor_reader *r, void *of)
{
	struct get *get = of;

	get->view.state = (enum blobs_get_state)cbor_read_uint_max(r, BLOBS_GET_PAUSED);
}

/* A promise to a caller holds after a crash, though the run has not ended yet. */
static void state_write(struct writer *w, const void *of)
{
	const struct get *get = of;
	enum blobs_get_state state = get->view.state;

	if (!blobs_get_is_ended(get) && get->ending.is_cancelled && get->ending.keeps_staged)
		state = BLOBS_GET_TAKEN_BACK;
	else if (!blobs_get_is_ended(get) && get->ending.is_pausing)
		state = BLOBS_GET_PAUSED;
	cbor_write_uint(w, state);
}

static void part_ids_read(struct cbor_reader *r, void *of)
{
	struct get *get = of;
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || len % OBJECT_ID_LEN || len / OBJECT_ID_LEN > MANIFEST_PARTS_MAX) {
		cbor_fail(r);
		return;
	}
	if (len == 0)
		return;
	get->manifest.part_ids = malloc(len);
	if (!get->manifest.part_ids) {
		cbor_fail(r);
		return;
	}
	memcpy(get->manifest.part_ids, bytes, len);
	get->manifest.part_cnt = (uint32_t)(len / OBJECT_ID_LEN);
}

static void part_ids_write(struct writer *w, const void *of)
{
	const struct get *get = of;

	cbor_write_bytes(w, get->manifest.part_ids, (size_t)get->manifest.part_cnt * OBJECT_ID_LEN);
}

static void patterns_read(struct cbor_reader *r, struct get *get,
			  int (*take)(struct get *get, const char *patterns, size_t len))
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || take(get, (const char *)bytes, len) < 0)
		cbor_fail(r);
}

/* The last request, though the get may still be ending the one before. */
static const struct get *chosen_of(const struct get *get)
{
	return get->choosing.chosen ? get->choosing.chosen : get;
}

static void only_read(struct cbor_reader *r, void *of)
{
	patterns_read(r, of, blobs_get_only_take);
}

static void only_write(struct writer *w, const void *of)
{
	const struct get *get = chosen_of(of);

	cbor_write_bytes(w, get->asked.only, get->view.only_len);
}

static void exclude_read(struct cbor_reader *r, void *of)
{
	patterns_read(r, of, blobs_get_exclude_take);
}

static void exclude_write(struct writer *w, const void *of)
{
	const struct get *get = chosen_of(of);

	cbor_write_bytes(w, get->asked.exclude, get->view.choice.exclude_len);
}

static void first_read(struct cbor_reader *r, void *of)
{
	patterns_read(r, of, blobs_get_first_take);
}

static void first_write(struct writer *w, const void *of)
{
	const struct get *get = chosen_of(of);

	cbor_write_bytes(w, get->asked.first, get->view.choice.first_len);
}

static void sequential_read(struct cbor_reader *r, void *of)
{
	((struct get *)of)->view.choice.is_sequential = cbor_read_bool(r);
}

static void sequential_write(struct writer *w, const void *of)
{
	cbor_write_bool(w, chosen_of(of)->view.choice.is_sequential);
}

static const struct cbor_field node_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct link_node, key)},
	{1, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct link_node, places)},
};
static const struct cbor_table node_table = {CBOR_FIELDS(node_fields)};

static const struct cbor_field range_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct blobs_range, off)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct blobs_range, len)},
};
static const struct cbor_table range_table = {CBOR_FIELDS(range_fields)};

#define AT(member)  CBOR_AT(struct get, member)
#define LEN(member) CBOR_LEN(struct get, member)
#define HAS(member) CBOR_HAS(struct get, member)
#define IN_FOLDER   CBOR_WHEN(struct get, view.folder)

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_VERSION},
	{1, CBOR_FIELD_CODED, CBOR_FORMER, .read = link_read},
	/* Paths need not be UTF-8. */
	{2, CBOR_FIELD_PATH, CBOR_USUAL, AT(asked.target)},
	{3, CBOR_FIELD_BOOL, CBOR_USUAL, AT(asked.is_replacing)},
	{4, CBOR_FIELD_UINT, CBOR_FORMER, AT(asked.ranges[0].off)},
	{5, CBOR_FIELD_UINT, CBOR_FORMER, AT(asked.ranges[0].len)},
	{6, CBOR_FIELD_CODED, CBOR_USUAL, .read = state_read, .write = state_write},
	{7, CBOR_FIELD_CODED, CBOR_USUAL, AT(view.err), .read = err_read, .write = err_write},
	{8, CBOR_FIELD_PATH, CBOR_USUAL, AT(ending.detail)},
	{9, CBOR_FIELD_TEXT, CBOR_USUAL, AT(manifest.title)},
	{10, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.item_cnt)},
	{11, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.byte_cnt)},
	{12, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.item_done_cnt)},
	{13, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.byte_done_cnt)},
	{14, CBOR_FIELD_CODED, CBOR_USUAL, .read = part_ids_read, .write = part_ids_write},
	{15, CBOR_FIELD_BOOL, CBOR_USUAL, AT(ending.has_staged)},
	{16, CBOR_FIELD_BOOL, CBOR_USUAL, AT(ending.is_cancelled)},
	{17, CBOR_FIELD_FIXED, CBOR_USUAL, AT(asked.manifest_id)},
	{18, CBOR_FIELD_ROWS, CBOR_USUAL, CBOR_ROWS(struct get, asked.nodes, node_table),
	 LEN(view.node_cnt)},
	{19, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.priority), .max = BLOBS_GET_PRIORITY_MAX},
	{20, CBOR_FIELD_ROWS, CBOR_USUAL, CBOR_ROWS(struct get, asked.ranges, range_table),
	 LEN(asked.range_cnt)},
	{21, CBOR_FIELD_CODED, CBOR_USUAL, .read = only_read, .write = only_write},
	{22, CBOR_FIELD_CODED, CBOR_USUAL, .read = exclude_read, .write = exclude_write},
	{23, CBOR_FIELD_CODED, CBOR_USUAL, .read = first_read, .write = first_write},
	{24, CBOR_FIELD_CODED, CBOR_USUAL, .read = sequential_read, .write = sequential_write},
	{25, CBOR_FIELD_BOOL, CBOR_OPTIONAL, AT(ending.keeps_staged)},
	{30, CBOR_FIELD_BOOL, CBOR_USUAL, AT(view.is_leaving)},
	{31, CBOR_FIELD_BOOL, CBOR_USUAL, AT(leave.is_deleting)},
	{32, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.seed.end), .max = BLOBS_SEED_TIME},
	{33, CBOR_FIELD_UINT, HAS(view.seed.has_percent), AT(view.seed.percent),
	 .max = BLOBS_SEED_PERCENT_MAX},
	{34, CBOR_FIELD_UINT, HAS(view.seed.has_for), AT(view.seed.for_s),
	 .max = BLOBS_SEED_FOR_S_MAX},
	{35, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.seed.sent_byte_cnt)},
	{36, CBOR_FIELD_UINT, CBOR_USUAL, AT(seed.base)},
	{37, CBOR_FIELD_UINT, CBOR_USUAL, AT(view.seed.since_s)},
	{40, CBOR_FIELD_FIXED, IN_FOLDER, AT(asked.folder.share_id)},
	{41, CBOR_FIELD_UINT, IN_FOLDER, AT(asked.folder.revision)},
	{42, CBOR_FIELD_BOOL, IN_FOLDER, AT(asked.folder.is_mirror)},
	{43, CBOR_FIELD_UINT, IN_FOLDER, AT(asked.folder.version_cnt), .max = BLOBS_VERSIONS_MAX},
	{44, CBOR_FIELD_UINT, IN_FOLDER, AT(revision.version)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

int blobs_get_record_write(const struct get *get, uint8_t *out, size_t cap)
{
	struct writer w = writer_of(out, cap);

	cbor_fields_write(&w, &table, get);
	return w.bad ? WEFT_EFULL : (int)writer_len(&w);
}

int blobs_get_record_parse(const void *data, size_t len, struct get *get)
{
	struct cbor_reader r;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_fields_read(&r, &table, get);
	if (cbor_has_key(&r, 4) && !cbor_has_key(&r, 20))
		get->asked.range_cnt = 1;
	if (cbor_has_key(&r, 40))
		get->view.folder = &get->asked.folder;
	if (cbor_has_key(&r, 41) && !cbor_has_key(&r, 44))
		get->revision.version = get->asked.folder.revision;
	get->seed.saved = get->view.seed.sent_byte_cnt;
	err = cbor_reader_finish(&r);
	return err ? err : get->asked.target[0] == '/' ? 0 : WEFT_EMALFORMED;
}

/* --- saving --- */

static void get_tell_end(struct get *get)
{
	enum blobs_event_kind kind = BLOBS_GET_FAILED;

	if (!blobs_get_is_ended(get) || get->ending.is_told)
		return;
	get->ending.is_told = true;
	if (get->view.state == BLOBS_GET_FINISHED)
		kind = BLOBS_GET_DONE;
	else if (get->view.state == BLOBS_GET_PAUSED)
		kind = BLOBS_GET_PROGRESS;
	else if (get->view.state == BLOBS_GET_TAKEN_BACK)
		kind = BLOBS_GET_CANCELLED;
	blobs_get_tell(get, kind, get->view.err, get->ending.detail);
}

void blobs_get_choose_saved(struct get *get, int err)
{
	void (*done)(void *arg, int err) = get->choosing.done;

	if (!done || --get->choosing.save_cnt > 0)
		return;
	get->choosing.done = NULL;
	done(get->choosing.arg, err);
}

static void get_saved(void *arg, int err)
{
	struct get *get = arg;

	get->record.save_cnt--;
	if (err && !get->record.is_durable) {
		blobs_get_state_set(get, BLOBS_GET_STOPPED);
		get->view.err = err;
		snprintf(get->ending.detail, sizeof(get->ending.detail), "cannot store the get: %s",
			 weft_err_text(err));
	}
	blobs_get_choose_saved(get, err);
	/* A batch of before says nothing of what was changed since. */
	if (get->record.save_cnt == 0 && !get->record.is_unsaved) {
		get->record.is_durable = get->view.is_stored = true;
		get->view.shown_state = get->view.state;
		get_tell_end(get);
	}
	blobs_get_folder_done(get);
	if (get->view.is_leaving)
		blobs_get_leave(get);
	else
		blobs_gets_run_next(get->gets);
}

int blobs_get_put(const struct get *get, struct store_batch *batch)
{
	size_t cap = RECORD_LEN_MAX + (size_t)get->manifest.part_cnt * OBJECT_ID_LEN;
	uint8_t *record = malloc(cap), key[GET_RECORD_KEY_LEN];
	int len = record ? blobs_get_record_write(get, record, cap) : -ENOMEM;

	blobs_get_record_key(get->view.id, key);
	if (len >= 0)
		store_batch_put(batch, STORE_GETS, store_key(key, sizeof(key)), record,
				(size_t)len);
	free(record);
	return len < 0 ? len : 0;
}

int blobs_get_save(struct get *get)
{
	struct store *store = get->gets->content->params.store;
	struct store_batch *batch = store_batch_new(store);
	int err = blobs_get_put(get, batch);

	if (!err)
		err = store_submit(store, batch, get_saved, get);
	if (err)
		store_batch_free(batch);
	else
		get->record.save_cnt++;
	return err;
}

/* For changes of a get that is stored already: they may wait for room. */
void blobs_get_save_soon(struct get *get)
{
	struct gets *gets = get->gets;

	get->record.is_unsaved = blobs_get_save(get) < 0;
	if (get->record.is_unsaved && !timer_is_set(&gets->save_timer))
		timer_set(gets->content->params.timers, &gets->save_timer,
			  gets->now_ns + SAVE_RETRY_NS);
}

void blobs_gets_save_timer(struct timer *timer, uint64_t now_ns)
{
	struct gets *gets = (struct gets *)timer;

	gets->now_ns = now_ns;
	for (uint32_t i = 0; i < gets->cnt; i++)
		if (gets->slots[i]->record.is_unsaved)
			blobs_get_save_soon(gets->slots[i]);
}
