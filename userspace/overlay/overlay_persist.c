/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record. Its value is head, source and text:
 *	key	key32, tag, writer32
 *	head	u8 layout 1, u64be until, u64be seq, u64be created, u64be expires
 *	source	u8 family, 16 bytes of address, u16be port
 *	text	u16be length of the name, name, value
 */
#include "overlay_persist.h"

#include <errno.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/byte_cursor.h"
#include "overlay_reason.h"
#include "store/store.h"

#define RECORD_LAYOUT	1
#define RECORD_KEY_LEN	(OVERLAY_KEY_LEN + 1 + OVERLAY_WRITER_LEN)
#define RECORD_HEAD_LEN (1 + 4 * 8 + 1 + 16 + 2 + 2)
#define RETRY_NS	20000000ull

struct keep_waiter {
	struct list_node node;
	struct overlay_keep *keep;
	struct mesh_incoming *incoming; /* NULL: it left */
	uint64_t stored_s;
};

struct keep_commit {
	struct overlay_keep *keep;
	struct list_node waiting;
};

int overlay_keep_init(struct overlay_keep *keep, struct arena *arena, struct store *store,
		      const struct mesh_ops *ops, uint64_t *failed_cnt)
{
	int err;

	*keep = (struct overlay_keep){.store = store, .ops = ops, .failed_cnt = failed_cnt};
	list_init(&keep->waiting);
	err = pool_init(&keep->waiters, arena, sizeof(struct keep_waiter), OVERLAY_KEEP_WAITER_CAP);
	return err < 0 ? err
		       : pool_init(&keep->commits, arena, sizeof(struct keep_commit),
				   OVERLAY_KEEP_COMMIT_CAP);
}

/* --- records --- */

static void record_key(const struct overlay_stored *kept, uint8_t out[static RECORD_KEY_LEN])
{
	memcpy(out, kept->key, OVERLAY_KEY_LEN);
	out[OVERLAY_KEY_LEN] = kept->rule->tag;
	memcpy(out + OVERLAY_KEY_LEN + 1, kept->claim.writer, OVERLAY_WRITER_LEN);
}

static void record_write(struct writer *w, const struct overlay_stored *kept, uint64_t until_s)
{
	writer_u8(w, RECORD_LAYOUT);
	writer_be64(w, until_s);
	writer_be64(w, kept->claim.seq);
	writer_be64(w, kept->claim.created_s);
	writer_be64(w, kept->claim.expires_s);
	writer_u8(w, kept->source.family);
	writer_bytes(w, kept->source.ip, sizeof(kept->source.ip));
	writer_be16(w, kept->source.port);
	writer_be16(w, kept->name_len);
	writer_bytes(w, kept->bytes, kept->name_len + kept->value_len);
}

int overlay_record_parse(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
			 struct overlay_record *out_record)
{
	struct overlay_record record = {0};
	struct cursor c = cursor_of(data, len);
	uint8_t layout = cursor_u8(&c);

	if (layout > RECORD_LAYOUT)
		return WEFT_ENEWER;
	record.until_s = cursor_be64(&c);
	record.claim.seq = cursor_be64(&c);
	record.claim.created_s = cursor_be64(&c);
	record.claim.expires_s = cursor_be64(&c);
	record.source.family = cursor_u8(&c);
	cursor_copy(&c, record.source.ip, sizeof(record.source.ip));
	record.source.port = cursor_be16(&c);
	record.name_len = cursor_be16(&c);
	record.name = cursor_bytes(&c, record.name_len);
	record.value_len = cursor_left(&c);
	record.value = cursor_bytes(&c, record.value_len);
	if (c.bad || layout != RECORD_LAYOUT || key_len != RECORD_KEY_LEN || !record.name_len ||
	    record.name_len > OVERLAY_NAME_LEN_MAX || !record.value_len ||
	    record.value_len > OVERLAY_VALUE_LEN_MAX || record.value[0] != key[OVERLAY_KEY_LEN] ||
	    (record.source.family != ADDR_NONE && record.source.family != ADDR_IPV4 &&
	     record.source.family != ADDR_IPV6))
		return WEFT_EMALFORMED;
	record.key = key;
	record.tag = key[OVERLAY_KEY_LEN];
	record.writer = key + OVERLAY_KEY_LEN + 1;
	memcpy(record.claim.writer, record.writer, OVERLAY_WRITER_LEN);
	*out_record = record;
	return 0;
}

int overlay_keep_each(struct overlay_keep *keep,
		      void (*fn)(void *arg, const struct overlay_record *record), void *arg)
{
	struct store_iter iter = store_iter_fresh(keep->store, STORE_OVERLAY, STORE_ALL);
	struct overlay_record record;
	struct store_item item;

	if (!keep->store)
		return 0;
	/* A value that cannot be read is put again by its owner. */
	while (store_iter_next(&iter, &item))
		if (overlay_record_parse(item.key, item.key_len, item.value, item.value_len,
					 &record) == 0)
			fn(arg, &record);
	return store_iter_end(&iter);
}

/* --- askers that wait --- */

static void waiter_gone(void *arg)
{
	struct keep_waiter *waiter = arg;

	waiter->incoming = NULL;
}

static void incoming_refuse(const struct overlay_keep *keep, struct mesh_incoming *incoming,
			    enum overlay_reason reason)
{
	keep->ops->answer_error(incoming, (enum mesh_code)overlay_reasons[reason].code,
				overlay_reasons[reason].text, 0);
}

static void incoming_tell(const struct overlay_keep *keep, struct mesh_incoming *incoming,
			  uint64_t stored_s)
{
	uint8_t bytes[OVERLAY_STORED_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	overlay_stored_write(&w, stored_s);
	(void)keep->ops->answer(incoming, MESH_STORE, bytes, writer_len(&w), NULL);
}

static void waiters_tell(struct overlay_keep *keep, struct list_node *waiting, int err)
{
	while (!list_is_empty(waiting)) {
		struct keep_waiter *waiter = container_of(waiting->next, struct keep_waiter, node);
		struct mesh_incoming *incoming = waiter->incoming;
		uint64_t stored_s = waiter->stored_s;

		list_unlink(&waiter->node);
		pool_release(&keep->waiters, waiter);
		if (err < 0)
			++*keep->failed_cnt;
		if (!incoming)
			continue;
		if (err < 0)
			incoming_refuse(keep, incoming, OVERLAY_NOT_STORED);
		else
			incoming_tell(keep, incoming, stored_s);
	}
}

void overlay_keep_answer(struct overlay_keep *keep, struct mesh_incoming *incoming,
			 uint64_t stored_s)
{
	struct keep_waiter *waiter;

	if (!keep->batch) {
		incoming_tell(keep, incoming, stored_s);
		return;
	}
	waiter = pool_acquire(&keep->waiters);
	if (!waiter) {
		incoming_refuse(keep, incoming, OVERLAY_NO_MEMORY);
		return;
	}
	waiter->keep = keep;
	waiter->incoming = incoming;
	waiter->stored_s = stored_s;
	list_push_back(&keep->waiting, &waiter->node);
	keep->ops->abandoned(incoming, waiter_gone, waiter);
}

/* --- batches --- */

/* The batch that changes go to, or NULL: there is no store or no memory, or it lags far behind. */
static struct store_batch *batch_open(struct overlay_keep *keep, size_t len, uint64_t now_ns)
{
	if (!keep->store || (keep->batch && keep->batch_len >= 4 * OVERLAY_KEEP_BYTES_MAX))
		return NULL;
	if (!keep->batch) {
		keep->batch = store_batch_new(keep->store);
		keep->batch_len = 0;
		keep->due_ns = now_ns + OVERLAY_KEEP_WINDOW_NS;
	}
	keep->batch_len += len;
	if (keep->batch_len >= OVERLAY_KEEP_BYTES_MAX && keep->due_ns > now_ns)
		keep->due_ns = now_ns;
	return keep->batch;
}

int overlay_keep_put(struct overlay_keep *keep, const struct overlay_stored *kept, uint64_t until_s,
		     uint64_t now_ns)
{
	uint8_t record[RECORD_HEAD_LEN + OVERLAY_NAME_LEN_MAX + OVERLAY_VALUE_LEN_MAX];
	struct store_batch *batch = batch_open(keep, sizeof(record), now_ns);
	struct writer w = writer_of(record, sizeof(record));
	uint8_t key[RECORD_KEY_LEN];

	if (!batch && keep->store)
		return keep->batch ? WEFT_EFULL : -ENOMEM;
	if (!batch)
		return 0;
	record_key(kept, key);
	record_write(&w, kept, until_s);
	store_batch_put(batch, STORE_OVERLAY, store_key(key, sizeof(key)), record, writer_len(&w));
	return 0;
}

/* A record that stays is looked at again after the next start. */
static void key_delete(struct overlay_keep *keep, const uint8_t *key, uint64_t now_ns)
{
	struct store_batch *batch = batch_open(keep, RECORD_KEY_LEN, now_ns);

	if (batch)
		store_batch_delete(batch, STORE_OVERLAY, store_key(key, RECORD_KEY_LEN));
}

void overlay_keep_delete(struct overlay_keep *keep, const struct overlay_stored *kept,
			 uint64_t now_ns)
{
	uint8_t key[RECORD_KEY_LEN];

	record_key(kept, key);
	key_delete(keep, key, now_ns);
}

void overlay_keep_forget(struct overlay_keep *keep, const struct overlay_record *record,
			 uint64_t now_ns)
{
	/* Key, tag and writer lie in one piece, as the database has them. */
	key_delete(keep, record->key, now_ns);
}

static void commit_done(void *arg, int err)
{
	struct keep_commit *commit = arg;
	struct overlay_keep *keep = commit->keep;

	waiters_tell(keep, &commit->waiting, err);
	pool_release(&keep->commits, commit);
}

static void waiters_move(struct list_node *from, struct list_node *to)
{
	while (!list_is_empty(from)) {
		struct list_node *node = from->next;

		list_unlink(node);
		list_push_back(to, node);
	}
}

/* Sends the batch on its way. While as many as may be are, or the store is full, it waits. */
static void batch_submit(struct overlay_keep *keep, uint64_t now_ns)
{
	struct keep_commit *commit = pool_acquire(&keep->commits);
	struct store_batch *batch = keep->batch;
	int err;

	keep->due_ns = now_ns + RETRY_NS;
	if (!commit)
		return;
	commit->keep = keep;
	list_init(&commit->waiting);
	waiters_move(&keep->waiting, &commit->waiting);
	keep->batch = NULL;
	err = store_submit(keep->store, batch, commit_done, commit);
	if (err == 0)
		return;
	if (err == WEFT_EFULL) {
		keep->batch = batch;
		waiters_move(&commit->waiting, &keep->waiting);
	} else {
		store_batch_free(batch);
		waiters_tell(keep, &commit->waiting, err);
	}
	pool_release(&keep->commits, commit);
}

void overlay_keep_expire(struct overlay_keep *keep, uint64_t now_ns)
{
	if (keep->batch && now_ns >= keep->due_ns)
		batch_submit(keep, now_ns);
}

uint64_t overlay_keep_next_ns(const struct overlay_keep *keep)
{
	return keep->batch ? keep->due_ns : UINT64_MAX;
}

/* The waiting askers get no answer: the mesh may be gone by now. */
static void waiters_forget(struct overlay_keep *keep)
{
	struct keep_waiter *waiter = NULL;

	while ((waiter = pool_next(&keep->waiters, waiter)))
		waiter->incoming = NULL;
}

void overlay_keep_fini(struct overlay_keep *keep)
{
	if (!keep->store)
		return;
	waiters_forget(keep);
	if (keep->batch && store_submit(keep->store, keep->batch, NULL, NULL) < 0)
		store_batch_free(keep->batch);
	keep->batch = NULL;
	store_flush(keep->store);
}
