/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits that are set while the node runs, and the blobs_limit_* of
 * blobs.h. Uploads are limited where they are served (serve/uploads.c),
 * downloads by the caller that asks for bytes.
 */
#include "traffic_limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "blobs/blobs_state.h"
#include "blobs/serve/serve.h"
#include "blobs/serve/uploads.h"
#include "store/store.h"

/* In STORE_META: the map of limit number to value, and of a timetable's key to its text. */
static const char record_key[] = "content-limits";
#define TIMETABLE_KEY 32u /* of the first direction */
#define RECORD_CAP    (256 + BLOBS_DIRECTION_CNT * (TIMETABLE_TEXT_CAP + 8))

_Static_assert(BLOBS_LIMIT_CNT <= TIMETABLE_KEY, "keys of limits and timetables differ");
_Static_assert(TIMETABLE_RATE_MAX == BYTE_BUCKET_MAX, "an entry says what a limit may");
_Static_assert(BLOBS_RATE_MAX == BYTE_BUCKET_MAX, "a limit is what a bucket can keep");

_Static_assert(BLOBS_SLOTS_MAX == UPLOAD_PEERS_MAX, "as many slots as can be served");

static uint64_t limits_value(const struct blobs_limits *limits, enum blobs_limit which)
{
	return limits->is_kept[which] ? limits->kept[which] : limits->configured[which];
}

uint64_t blobs_limit_max(enum blobs_limit which)
{
	if (which >= BLOBS_LIMIT_UPLOAD_MONTH)
		return BLOBS_MONTH_MAX;
	return which == BLOBS_LIMIT_UPLOAD_SLOTS ? UPLOAD_PEERS_MAX : BYTE_BUCKET_MAX;
}

/* The texts that were kept, as long as the whole record is not read. */
struct timetable_texts {
	bool is_kept[BLOBS_DIRECTION_CNT];
	char texts[BLOBS_DIRECTION_CNT][TIMETABLE_TEXT_CAP];
};

static void text_read(struct cbor_reader *r, struct timetable_texts *kept, uint64_t direction)
{
	cbor_read_text_copy(r, kept->texts[direction], TIMETABLE_TEXT_CAP);
	kept->is_kept[direction] = true;
}

static int record_parse(struct blobs_limits *limits, struct timetable_texts *texts,
			const void *record, size_t len)
{
	struct blobs_limits got = *limits;
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, record, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key >= TIMETABLE_KEY && key - TIMETABLE_KEY < BLOBS_DIRECTION_CNT) {
			text_read(&r, texts, key - TIMETABLE_KEY);
			continue;
		}
		if (key >= BLOBS_LIMIT_CNT) {
			cbor_skip(&r);
			continue;
		}
		got.kept[key] = cbor_read_uint_max(&r, blobs_limit_max((enum blobs_limit)key));
		got.is_kept[key] = true;
	}
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EMALFORMED;
	*limits = got;
	return 0;
}

int blobs_limits_load(struct blobs *content, struct store_snapshot *snapshot)
{
	struct timetable_texts texts = {0};
	const void *record;
	size_t len;
	int err = store_get(snapshot, STORE_META, store_key(record_key, sizeof(record_key) - 1),
			    &record, &len);

	if (err == 0 && record_parse(&content->limits, &texts, record, len) == 0) {
		for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
			content->hours.tables[i].is_kept = texts.is_kept[i];
			memcpy(content->hours.tables[i].kept, texts.texts[i], TIMETABLE_TEXT_CAP);
		}
	}
	return err == WEFT_EABSENT ? 0 : err;
}

/* --- of a node --- */

const char *blobs_limit_name(enum blobs_limit which)
{
	static const char *const names[BLOBS_LIMIT_CNT] = {
		[BLOBS_LIMIT_UPLOAD] = "upload",
		[BLOBS_LIMIT_DOWNLOAD] = "download",
		[BLOBS_LIMIT_UPLOAD_PEER] = "upload-peer",
		[BLOBS_LIMIT_DOWNLOAD_PEER] = "download-peer",
		[BLOBS_LIMIT_UPLOAD_SLOTS] = "upload-slots",
		[BLOBS_LIMIT_UPLOAD_MONTH] = "upload-month",
		[BLOBS_LIMIT_DOWNLOAD_MONTH] = "download-month",
		[BLOBS_LIMIT_UPLOAD_MONTH_LAN] = "upload-month-lan",
		[BLOBS_LIMIT_DOWNLOAD_MONTH_LAN] = "download-month-lan",
	};

	return names[which];
}

uint64_t blobs_limit(const struct blobs *content, enum blobs_limit which)
{
	return limits_value(&content->limits, which);
}

/* The least of two rates, of which 0 is none. */
static uint64_t rate_least(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static uint64_t limit_in_force(const struct blobs *content, enum blobs_limit which)
{
	uint64_t value = limits_value(&content->limits, which);

	if (content->is_server)
		return value;
	if (which == BLOBS_LIMIT_UPLOAD)
		return rate_least(value, blobs_hours_per_s(content, BLOBS_UPLOADS));
	if (which == BLOBS_LIMIT_DOWNLOAD)
		return rate_least(value, blobs_hours_per_s(content, BLOBS_DOWNLOADS));
	return value;
}

void blobs_limits_apply(struct blobs *content, uint64_t now_ns)
{
	const struct blobs_limits *limits = &content->limits;
	struct upload_limits upload = {
		.whole_per_s = limit_in_force(content, BLOBS_LIMIT_UPLOAD),
		.peer_per_s = limits_value(limits, BLOBS_LIMIT_UPLOAD_PEER),
		.slot_cnt = (uint32_t)limits_value(limits, BLOBS_LIMIT_UPLOAD_SLOTS),
	};

	upload.per_s = upload.whole_per_s;
	if (upload.per_s && content->has_upload_part)
		upload.per_s = content->upload_part ? content->upload_part : 1;
	blobs_byte_bucket_set(&content->limits.download,
			      limit_in_force(content, BLOBS_LIMIT_DOWNLOAD), now_ns);
	blobs_serve_set_limits(content->serve, &upload, now_ns);
	if (!content->is_server)
		blobs_months_apply(content, now_ns);
}

void blobs_limit_show(const struct blobs *content, enum blobs_limit which,
		      struct blobs_limit_view *out_view)
{
	const struct blobs_limits *limits = &content->limits;

	*out_view = (struct blobs_limit_view){.value = limits_value(limits, which),
					      .in_force = limit_in_force(content, which),
					      .configured = limits->configured[which],
					      .is_kept = limits->is_kept[which]};
}

/*
 * One change is with the store at a time. It writes the whole record, so the next is made of the
 * state after the one before.
 */
struct limit_change {
	struct limit_change *next;
	struct blobs *content;
	enum blobs_limit which; /* BLOBS_LIMIT_CNT: a timetable */
	enum blobs_direction direction;
	bool is_kept; /* else: back to what is configured */
	uint64_t value;
	char text[TIMETABLE_TEXT_CAP];
	void (*done)(void *arg, int err);
	void *arg;
};

static struct blobs_limits change_made(const struct limit_change *change)
{
	struct blobs_limits changed = change->content->limits;

	if (change->which == BLOBS_LIMIT_CNT)
		return changed;
	changed.kept[change->which] = change->value;
	changed.is_kept[change->which] = change->is_kept;
	return changed;
}

/* The text of a direction that is kept when change is made; NULL: what is configured holds. */
static const char *change_text(const struct limit_change *change, unsigned direction)
{
	const struct hours_table *table = &change->content->hours.tables[direction];

	if (change->which == BLOBS_LIMIT_CNT && change->direction == direction)
		return change->is_kept ? change->text : NULL;
	return table->is_kept ? table->kept : NULL;
}

/* Puts what is kept, or deletes the record when nothing is. */
static void limits_save(const struct limit_change *change, struct store_batch *batch)
{
	const struct blobs_limits limits = change_made(change);
	uint8_t record[RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));
	uint64_t cnt = 0;

	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++)
		cnt += limits.is_kept[i];
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++)
		cnt += change_text(change, i) != NULL;
	cbor_write_map(&w, cnt);
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++) {
		if (!limits.is_kept[i])
			continue;
		cbor_write_uint(&w, i);
		cbor_write_uint(&w, limits.kept[i]);
	}
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		const char *text = change_text(change, i);

		if (!text)
			continue;
		cbor_write_uint(&w, TIMETABLE_KEY + i);
		cbor_write_text(&w, text, strlen(text));
	}
	if (cnt)
		store_batch_put(batch, STORE_META, store_key(record_key, sizeof(record_key) - 1),
				record, writer_len(&w));
	else
		store_batch_delete(batch, STORE_META,
				   store_key(record_key, sizeof(record_key) - 1));
}

static void change_take(struct blobs *content, const struct limit_change *change)
{
	struct hours_table *table = &content->hours.tables[change->direction];
	uint64_t now_ns = blobs_serve_now_ns(content->serve);

	content->limits = change_made(change);
	if (change->which == BLOBS_LIMIT_CNT) {
		table->is_kept = change->is_kept;
		memcpy(table->kept, change->text, sizeof(table->kept));
		blobs_hours_changed(content, now_ns);
		return;
	}
	blobs_limits_apply(content, now_ns);
	if (content->params.on_limits_changed && !content->limits.is_stopped)
		content->params.on_limits_changed(content->params.ctx);
}

static void change_begin(struct limit_change *change);

static void change_done(void *arg, int err)
{
	struct limit_change *change = arg;
	struct blobs *content = change->content;

	if (err == 0)
		change_take(content, change);
	content->limits.changes = change->next;
	if (change->done)
		change->done(change->arg, err);
	free(change);
	if (content->limits.changes)
		change_begin(content->limits.changes);
}

static int change_submit(struct limit_change *change)
{
	struct store *store = change->content->params.store;
	struct store_batch *batch = store_batch_new(store);
	int err;

	limits_save(change, batch);
	err = store_submit(store, batch, change_done, change);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

static void change_begin(struct limit_change *change)
{
	int err = change_submit(change);

	if (err < 0)
		change_done(change, err);
}

/* A limit is in force once it is durable, so that a refused one never was. */
static int limit_change(const struct limit_change *wanted)
{
	struct limit_change **link = &wanted->content->limits.changes, *change;
	int err = 0;

	change = malloc(sizeof(*change));
	if (!change)
		return -ENOMEM;
	*change = *wanted;
	if (!*link)
		err = change_submit(change);
	if (err < 0) {
		free(change);
		return err;
	}
	while (*link)
		link = &(*link)->next;
	*link = change;
	return 0;
}

int blobs_limit_set(struct blobs *content, enum blobs_limit which, uint64_t value,
		    void (*done)(void *arg, int err), void *arg)
{
	const struct limit_change change = {.content = content,
					    .which = which,
					    .is_kept = true,
					    .value = value,
					    .done = done,
					    .arg = arg};

	return value > blobs_limit_max(which) ? WEFT_ETOOLARGE : limit_change(&change);
}

int blobs_limit_reset(struct blobs *content, enum blobs_limit which,
		      void (*done)(void *arg, int err), void *arg)
{
	const struct limit_change change = {
		.content = content, .which = which, .done = done, .arg = arg};

	return limit_change(&change);
}

int blobs_timetable_set(struct blobs *content, enum blobs_direction direction, const char *text,
			void (*done)(void *arg, int err), void *arg)
{
	struct limit_change change = {.content = content,
				      .which = BLOBS_LIMIT_CNT,
				      .direction = direction,
				      .is_kept = text != NULL,
				      .done = done,
				      .arg = arg};
	struct timetable_fault fault;
	struct timetable table;
	int err = text ? blobs_timetable_parse(text, &table, &fault) : 0;

	if (err < 0)
		return err;
	if (text)
		memcpy(change.text, text, strlen(text));
	return limit_change(&change);
}

void blobs_limits_get(const struct blobs *content, uint64_t out_values[static BLOBS_LIMIT_CNT])
{
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++)
		out_values[i] = limit_in_force(content, (enum blobs_limit)i);
}

void blobs_limits_take(struct blobs *content, const uint64_t values[static BLOBS_LIMIT_CNT],
		       uint64_t upload_part, uint64_t now_ns)
{
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT && content->is_server; i++)
		content->limits.configured[i] = values[i];
	content->has_upload_part = true;
	content->upload_part = upload_part;
	blobs_limits_apply(content, now_ns);
}

void blobs_traffic(const struct blobs *content, uint64_t now_ns, struct blobs_traffic *out_traffic)
{
	*out_traffic = (struct blobs_traffic){
		.download_per_s = blobs_byte_meter_per_s(&content->limits.download_meter, now_ns)};
	blobs_serve_fill_traffic(content->serve, now_ns, out_traffic);
	for (unsigned i = 0; i < BLOBS_ZONE_CNT; i++)
		out_traffic->upload_taken[i] = content->credits[BLOBS_UPLOADS][i].taken;
}

/* --- what gets take --- */

unsigned blobs_price(const struct blobs *content, const struct addr *addr)
{
	return blobs_zones_price(&content->zones, addr);
}

uint64_t blobs_download_ns(const struct blobs *content, uint64_t now_ns)
{
	const struct byte_bucket *rate = &content->limits.download;

	return blobs_byte_bucket_is_free(rate, now_ns) ? now_ns : rate->free_ns;
}

void blobs_download_take(struct blobs *content, uint64_t len, uint64_t now_ns)
{
	blobs_byte_bucket_take(&content->limits.download, len, now_ns);
}

void blobs_download_settle(struct blobs *content, uint64_t taken_len, uint64_t len, uint64_t now_ns)
{
	blobs_byte_bucket_give_back(&content->limits.download, taken_len - len);
	blobs_byte_meter_note(&content->limits.download_meter, len, now_ns);
}
