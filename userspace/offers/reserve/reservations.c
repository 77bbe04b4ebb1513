/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of reservations: made, named, shared, loaded at the start. */
#include "reservations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "crypto/blake3/blake3.h"
#include "reservations_state.h"
#include "store/store.h"
#include "weft/bytes.h"

static const struct fair_config received_pool = {
	.name = "reservations received",
	.kind = FAIR_LASTING,
	.cap_cnt = RESERVATIONS_RECEIVED_MAX,
	.level_cnt = RESERVATION_PATH_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

static const struct fair_config over_pool = {
	.name = "reservations received, and over",
	.kind = FAIR_WORK, /* the one that ended first goes first */
	.cap_cnt = RESERVATIONS_OVER_MAX,
	.level_cnt = RESERVATION_PATH_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

uint64_t offers_reservations_wall_s(const struct reservations *reservations)
{
	return reservations->params.around.wall_s(reservations->params.around.ctx);
}

void offers_reservation_id(const struct reservation_record *record,
			   uint8_t out_id[static RESERVATION_ID_LEN])
{
	const struct reservation_parties *parties = &record->parties;
	uint8_t text[4 + SERVICE_MESSAGE_ADDRESS_LEN + OFFER_ID_LEN + AGREED_KEY_LEN];
	struct writer w = writer_of(text, sizeof(text));
	uint8_t hash[BLAKE3_HASH_LEN];

	writer_be32(&w, record->service);
	writer_bytes(&w, parties->provider, sizeof(parties->provider));
	writer_bytes(&w, parties->offer_id, sizeof(parties->offer_id));
	writer_bytes(&w, parties->one_time, sizeof(parties->one_time));
	blake3_hash(text, sizeof(text), hash);
	memcpy(out_id, hash, RESERVATION_ID_LEN);
}

/* --- rows --- */

static void on_due(struct timer *timer, uint64_t now_ns)
{
	offers_reservation_due(container_of(timer, struct reservation, timer), now_ns);
}

/* The record in bytes of its own. 0, -ENOMEM or WEFT_ETOOLARGE. */
static int record_copy(const struct reservation_record *record, uint8_t **out_bytes,
		       size_t *out_len, struct reservation_record *out_record)
{
	uint8_t bytes[RESERVATION_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	offers_reservation_record_write(&w, record);
	len = writer_len(&w);
	if (w.bad)
		return WEFT_ETOOLARGE;
	*out_bytes = malloc(len);
	if (!*out_bytes)
		return -ENOMEM;
	memcpy(*out_bytes, bytes, len);
	*out_len = len;
	return offers_reservation_record_parse(*out_bytes, len, out_record);
}

/* What the database has of row is kept beside it until the change is durable. */
int offers_reservation_set(struct reservation *row, const struct reservation_record *record)
{
	struct reservation_record copy;
	uint8_t *bytes = NULL;
	size_t len = 0;
	int err = record_copy(record, &bytes, &len, &copy);

	if (err < 0) {
		free(bytes);
		return err;
	}
	free(row->former);
	row->former = row->bytes;
	row->former_len = row->len;
	row->bytes = bytes;
	row->len = len;
	row->record = copy;
	return 0;
}

struct reservation *offers_reservation_add(struct reservations *reservations, const uint8_t *id,
					   const struct reservation_record *record)
{
	struct reservation *row = pool_acquire(&reservations->rows);

	if (!row)
		return NULL;
	row->owner = reservations;
	memcpy(row->id, id, sizeof(row->id));
	list_init(&row->link);
	timer_init(&row->timer, on_due);
	row->try_ns = row->pull_ns = UINT64_MAX;
	if (offers_reservation_set(row, record) < 0 ||
	    map_put(&reservations->by_id, row->id, row) < 0) {
		free(row->bytes);
		pool_release(&reservations->rows, row);
		return NULL;
	}
	reservations->made_cnt += row->record.is_made;
	return row;
}

static struct reservation_mark_record account_of(const struct reservation *row)
{
	const struct reservation_record *record = &row->record;
	bool is_decided =
		record->state == RESERVATION_CONFIRMED || record->state == RESERVATION_REFUSED;
	struct reservation_mark_record account = {.class = is_decided ? FAIR_CHOSEN : record->class,
						  .source = record->source,
						  .until_s = record->valid_s};

	memcpy(account.neighbour, record->parties.neighbour, sizeof(account.neighbour));
	memcpy(account.offer_id, record->parties.offer_id, sizeof(account.offer_id));
	return account;
}

/* An asked one that made room may be asked again; what came of the others is known. */
static bool is_marked(const struct reservation *row)
{
	return !row->record.is_made && row->record.state != RESERVATION_ASKED &&
	       row->record.valid_s > offers_reservations_wall_s(row->owner);
}

void offers_reservation_drop(struct reservation *row, bool is_deleted, uint64_t now_ns)
{
	struct reservations *reservations = row->owner;
	const struct reservation_mark_record mark = account_of(row);
	bool has_mark = is_deleted && is_marked(row);
	uint8_t id[RESERVATION_ID_LEN];

	memcpy(id, row->id, sizeof(id));
	timer_cancel(reservations->params.timers, &row->timer);
	if (row->places)
		fair_release(row->places, &row->share, now_ns);
	list_unlink(&row->link);
	map_delete(&reservations->by_id, row->id);
	reservations->made_cnt -= row->record.is_made;
	free(row->former);
	free(row->bytes);
	pool_release(&reservations->rows, row);
	if (!is_deleted)
		return;
	offers_reservation_mark_forget(reservations, id, now_ns);
	if (!has_mark || !offers_reservation_mark_add(reservations, id, &mark, NULL, now_ns))
		offers_reservation_keep_delete(reservations, id, now_ns);
}

/* --- shares --- */

void offers_reservation_path(const struct reservations *reservations,
			     const struct reservation_mark_record *account, struct fair_path *out)
{
	const struct fair_paths *paths = &reservations->places.paths;

	/* What was in a box has no source, and its neighbour is zeros: all of those are one account. */
	if (account->source.family == ADDR_NONE)
		fair_path_start(account->class, out);
	else
		fair_path_of_addr(paths, &account->source, account->class, out);
	fair_path_add(paths, out, account->neighbour, sizeof(account->neighbour));
	fair_path_add(paths, out, account->offer_id, sizeof(account->offer_id));
}

bool offers_reservation_share(struct reservation *row, uint64_t now_ns)
{
	struct reservations *reservations = row->owner;
	const struct reservation_mark_record account = account_of(row);
	struct fair_item *victim;
	struct fair_path path;

	row->places =
		reservation_is_open(row) ? &reservations->places.fair : &reservations->over_places;
	offers_reservation_path(reservations, &account, &path);
	switch (fair_take(row->places, &path, &row->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		reservations->stats.evicted_cnt++;
		offers_reservation_drop((struct reservation *)victim, true, now_ns);
		return true;
	default:
		return false;
	}
}

static void received_settle(struct reservation *row, uint64_t now_ns)
{
	const struct reservation_mark_record account = account_of(row);
	struct fair_path path;

	if (reservation_is_open(row)) {
		offers_reservation_path(row->owner, &account, &path);
		if (fair_item_holds(&row->share))
			fair_move(row->places, &row->share, &path, now_ns);
		return;
	}
	if (row->places == &row->owner->over_places && fair_item_holds(&row->share))
		return;
	if (row->places)
		fair_release(row->places, &row->share, now_ns);
	/* Without a place it goes when it is due. */
	(void)offers_reservation_share(row, now_ns);
}

void offers_reservation_settle(struct reservation *row, uint64_t now_ns)
{
	if (!row->record.is_made) {
		received_settle(row, now_ns);
		return;
	}
	list_unlink(&row->link);
	if (!reservation_is_open(row))
		list_push_back(&row->owner->over, &row->link);
}

/* --- names --- */

/* One that a crash would take is not there yet: nothing could be decided that would hold. */
static bool is_kept(const struct reservation *row)
{
	return !row->is_pending || row->former;
}

static struct reservation *row_named(const struct reservations *reservations, const char *name,
				     int *out_err)
{
	struct reservation *row = NULL, *found = NULL;
	size_t len = strlen(name);
	unsigned cnt = 0;

	*out_err = WEFT_EMALFORMED;
	if (len < RESERVATION_REF_TEXT_MIN || len >= RESERVATION_REF_TEXT_CAP)
		return NULL;
	while ((row = pool_next(&reservations->rows, row))) {
		char text[RESERVATION_REF_TEXT_CAP];

		zbase32_write(row->id, sizeof(row->id), text);
		if (strncmp(text, name, len) != 0 || !is_kept(row))
			continue;
		found = row;
		cnt++;
	}
	*out_err = cnt == 0 ? WEFT_EABSENT : cnt > 1 ? WEFT_EEXISTS : 0;
	return cnt == 1 ? found : NULL;
}

struct reservation *offers_reservation_named(const struct reservations *reservations,
					     const char *name, int *out_err)
{
	return row_named(reservations, name, out_err);
}

int offers_reservations_show(const struct reservations *reservations, const char *name,
			     reservation_view_fn fn, void *arg)
{
	int err;
	const struct reservation *row = row_named(reservations, name, &err);
	struct reservation_view view;

	if (!row)
		return err;
	view = reservation_view_of(row);
	fn(arg, &view);
	return 0;
}

void offers_reservations_each(const struct reservations *reservations, reservation_view_fn fn,
			      void *arg)
{
	const struct reservation *row = NULL;

	while ((row = pool_next(&reservations->rows, row))) {
		struct reservation_view view = reservation_view_of(row);

		if (is_kept(row))
			fn(arg, &view);
	}
}

/* Below 0: place stands before row in a list. */
static int place_compare(const struct reservation_place *place, const struct reservation *row)
{
	if (place->made_s != row->record.made_s)
		return place->made_s > row->record.made_s ? -1 : 1;
	return memcmp(place->id, row->id, sizeof(row->id));
}

static struct reservation_place place_of(const struct reservation *row)
{
	struct reservation_place place = {.made_s = row->record.made_s};

	memcpy(place.id, row->id, sizeof(place.id));
	return place;
}

bool offers_reservations_page(const struct reservations *reservations,
			      const struct reservation_page_ask *ask,
			      struct reservation_place *out_last)
{
	const struct reservation *page[RESERVATION_PAGE_MAX], *row = NULL;
	bool is_first = ask->after.made_s == UINT64_MAX, has_more = false;
	unsigned cnt = 0;

	while ((row = pool_next(&reservations->rows, row))) {
		const struct reservation_place place = place_of(row);
		unsigned at = cnt;

		if (!is_kept(row) || (!is_first && place_compare(&ask->after, row) >= 0))
			continue;
		while (at > 0 && place_compare(&place, page[at - 1]) < 0)
			at--;
		has_more |= cnt == ask->limit;
		if (at == ask->limit)
			continue;
		cnt += cnt < ask->limit;
		memmove(page + at + 1, page + at, (cnt - 1 - at) * sizeof(page[0]));
		page[at] = row;
	}
	for (unsigned i = 0; i < cnt; i++) {
		struct reservation_view view = reservation_view_of(page[i]);

		ask->fn(ask->arg, &view);
	}
	if (has_more)
		*out_last = place_of(page[cnt - 1]);
	return has_more;
}

uint64_t offers_reservations_confirmed(const struct reservations *reservations,
				       const struct offer_name *name)
{
	const struct reservation *row = NULL;
	uint64_t units = 0;

	while ((row = pool_next(&reservations->rows, row))) {
		const struct reservation_record *record = &row->record;

		if (!record->is_made && record->state == RESERVATION_CONFIRMED &&
		    record->service == name->service &&
		    memcmp(record->parties.provider, name->provider, sizeof(name->provider)) == 0 &&
		    memcmp(record->parties.offer_id, name->offer_id, sizeof(name->offer_id)) == 0)
			units += record->units;
	}
	return units;
}

/* --- life --- */

static int lay_out(struct reservations *reservations)
{
	const struct reservations_params *params = &reservations->params;
	struct arena *arena = &reservations->arena;
	uint64_t secret[2];
	int err = arena_open(arena, ARENA_GROWS);

	if (err < 0)
		return err;
	random_fill(params->random, secret, sizeof(secret));
	list_init(&reservations->over);
	if ((err = fair_places_init(&reservations->places, arena, &received_pool)) < 0 ||
	    (err = fair_init(&reservations->over_places, arena, &over_pool, secret)) < 0 ||
	    (err = offers_reservation_marks_init(reservations, secret)) < 0 ||
	    (err = request_quota_init(&reservations->quota, arena, OFFER_SERVICES_MAX,
				      RESERVATIONS_MADE_PER_MIN, secret)) < 0 ||
	    (err = pool_init(&reservations->rows, arena, sizeof(struct reservation),
			     RESERVATIONS_CAP)) < 0 ||
	    (err = pool_init(&reservations->calls, arena, sizeof(struct reservation_call),
			     RESERVATION_CALLS_MAX)) < 0 ||
	    (err = map_init(&reservations->by_id, arena, RESERVATION_ID_LEN, RESERVATIONS_CAP,
			    secret)) < 0 ||
	    (err = offers_reservation_keep_init(reservations)) < 0)
		return err;
	reservations->places.paths.site = params->site;
	arena_fit(arena);
	return 0;
}

size_t offers_reservations_footprint(void)
{
	static const struct reservation_record record = {.units = 1};
	uint8_t bytes[RESERVATION_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reservations reservations = {0};
	struct random random;
	size_t len = 0;

	random_init_seeded(&random, 1);
	reservations.params.random = &random;
	offers_reservation_record_write(&w, &record);
	/* Each row has the bytes of its record, and those of its former one while that changes. */
	if (lay_out(&reservations) == 0)
		len = sizeof(reservations) + reservations.arena.used_len +
		      (RESERVATIONS_CAP + RESERVATION_CHANGES_MAX) *
			      (writer_len(&w) + 2 * RESERVATION_TEXT_LEN_MAX +
			       RESERVATION_MESSAGE_MAX);
	arena_close(&reservations.arena);
	return len;
}

/* What cannot be read, or has no room any more, is deleted. */
static void row_load(struct reservations *reservations, const struct store_item *item,
		     uint64_t now_ns)
{
	struct reservation_mark_record mark;
	struct reservation_record record;
	struct reservation *row = NULL;

	if (offers_reservation_mark_parse(item->value, item->value_len, &mark) == 0) {
		if (!offers_reservation_mark_load(reservations, item->key, &mark, now_ns))
			offers_reservation_keep_delete(reservations, item->key, now_ns);
		return;
	}
	if (offers_reservation_record_parse(item->value, item->value_len, &record) == 0 &&
	    !map_lookup(&reservations->by_id, item->key) &&
	    reservations->made_cnt < RESERVATIONS_MADE_MAX + !record.is_made)
		row = offers_reservation_add(reservations, item->key, &record);
	if (!row) {
		offers_reservation_keep_delete(reservations, item->key, now_ns);
		return;
	}
	if (!row->record.is_made && reservation_is_open(row) &&
	    !offers_reservation_share(row, now_ns)) {
		offers_reservation_drop(row, true, now_ns);
		return;
	}
	offers_reservation_settle(row, now_ns);
	offers_reservation_renew(row, now_ns);
	timer_set(reservations->params.timers, &row->timer, now_ns);
}

static int load(struct reservations *reservations, uint64_t now_ns)
{
	struct store_iter iter =
		store_iter_fresh(reservations->params.store, STORE_RESERVATIONS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item))
		row_load(reservations, &item, now_ns);
	return store_iter_end(&iter);
}

int offers_reservations_open(const struct reservations_params *params,
			     struct reservations **out_reservations)
{
	struct reservations *reservations = calloc(1, sizeof(*reservations));
	int err;

	if (!reservations)
		return -ENOMEM;
	reservations->params = *params;
	reservations->now_ns = params->now_ns;
	err = lay_out(reservations);
	if (err == 0)
		err = load(reservations, params->now_ns);
	if (err == 0)
		offers_reservation_marks_begin(reservations, params->now_ns);
	if (err < 0) {
		offers_reservations_close(reservations);
		return err;
	}
	*out_reservations = reservations;
	return 0;
}

void offers_reservations_close(struct reservations *reservations)
{
	struct reservation *row = NULL;

	if (!reservations)
		return;
	offers_reservation_keep_fini(reservations);
	timer_cancel(reservations->params.timers, &reservations->mark_timer);
	while (reservations->rows.objects && (row = pool_next(&reservations->rows, row))) {
		timer_cancel(reservations->params.timers, &row->timer);
		free(row->former);
		free(row->bytes);
	}
	arena_close(&reservations->arena);
	free(reservations);
}

void offers_reservations_stats(const struct reservations *reservations,
			       struct reservations_stats *out_stats)
{
	struct fair_view view;

	*out_stats = reservations->stats;
	fair_read(&reservations->places.fair, &view);
	out_stats->received_cnt = view.held_cnt;
	fair_read(&reservations->over_places, &view);
	out_stats->over_cnt = view.held_cnt;
	out_stats->mark_cnt = reservations->marks.used_cnt;
	out_stats->own_cnt = reservations->made_cnt;
}

void offers_reservations_fair(const struct reservations *reservations, struct fair_view *out)
{
	fair_read(&reservations->places.fair, out);
}
