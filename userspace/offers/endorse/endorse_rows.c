/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of endorsements, and the subjects between which they lead. A row of STORE_ENDORSEMENTS has
 * the endorser's address, the service as u32be and the provider's address as its key. Its value:
 *
 *	u8 layout 2 | u8 flags: 1 made here | u8 class | u8 family, 16 bytes of address
 *	32 bytes, the endorser's key | u64be, the end of all words of the same | the endorsement
 *
 * A trusted endorser is a row of STORE_META, so that a backup has it.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "endorse_state.h"
#include "weft/bytes.h"

#define RECORD_LAYOUT	2
#define RECORD_OWN	1u
#define RECORD_HEAD_LEN (4u + 16u + NODE_KEY_LEN + 8u)
#define LEVEL_CNT	3u /* family, network, endorser */
#define NETWORK_LEVEL	1u
/* How much more another network holds before it pays no more, as in base/fair/fair. */
#define MARGIN 2u

int offers_endorse_lay_out(struct endorse_book *book)
{
	const struct fair_config pool = {.name = "endorsements",
					 .cap_cnt = book->params.cap,
					 .kind = FAIR_WORK,
					 .level_cnt = LEVEL_CNT,
					 .parts = FAIR_PEER_PARTS};
	uint32_t cap = book->params.cap;
	struct arena *arena = &book->arena;
	uint64_t secret[2];
	int err;

	random_fill(book->params.random, secret, sizeof(secret));
	list_init(&book->own);
	list_init(&book->about);
	/* One more than places: a row is made before the one that it evicts has gone. */
	if ((err = fair_places_init(&book->places, arena, &pool)) < 0 ||
	    (err = pool_init(&book->rows, arena, sizeof(struct endorse_row), cap + 1)) < 0 ||
	    (err = pool_init(&book->subjects, arena, sizeof(struct endorse_subject),
			     2 * (cap + 1))) < 0 ||
	    (err = pool_init(&book->trusted, arena, sizeof(struct endorse_trusted),
			     ENDORSE_TRUST_MAX)) < 0 ||
	    (err = map_init(&book->by_name, arena, ENDORSE_NAME_LEN, cap + 1, secret)) < 0 ||
	    (err = map_init(&book->by_subject, arena, ENDORSE_SUBJECT_LEN, 2 * (cap + 1), secret)) <
		    0 ||
	    (err = map_init(&book->by_trust, arena, ENDORSE_SUBJECT_LEN, ENDORSE_TRUST_MAX,
			    secret)) < 0 ||
	    (err = offers_endorse_keep_init(book, arena)) < 0)
		return err;
	book->places.paths.site = book->params.site;
	return 0;
}

/* --- subjects --- */

void offers_endorse_subject_name(uint32_t service, const uint8_t *address,
				 uint8_t name[static ENDORSE_SUBJECT_LEN])
{
	weft_store_le32(name, service);
	memcpy(name + 4, address, SERVICE_MESSAGE_ADDRESS_LEN);
}

struct endorse_subject *offers_endorse_subject(const struct endorse_book *book, uint32_t service,
					       const uint8_t *address)
{
	uint8_t name[ENDORSE_SUBJECT_LEN];

	offers_endorse_subject_name(service, address, name);
	return map_lookup(&book->by_subject, name);
}

static struct endorse_subject *subject_make(struct endorse_book *book, uint32_t service,
					    const uint8_t *address)
{
	struct endorse_subject *subject = offers_endorse_subject(book, service, address);
	int err;

	if (subject)
		return subject;
	subject = pool_acquire(&book->subjects);
	weft_assert(subject != NULL);
	offers_endorse_subject_name(service, address, subject->name);
	list_init(&subject->given);
	list_init(&subject->received);
	list_init(&subject->queued);
	subject->distance = ENDORSE_FAR;
	subject->trust = (uint8_t)offers_endorse_trust_in(book, service, address);
	if (subject->trust)
		subject->distance = 0;
	err = map_put(&book->by_subject, subject->name, subject);
	weft_assert(err == 0);
	return subject;
}

static void subject_tidy(struct endorse_book *book, struct endorse_subject *subject)
{
	if (!list_is_empty(&subject->given) || !list_is_empty(&subject->received))
		return;
	book->has_changed |= subject->level > 0;
	map_delete(&book->by_subject, subject->name);
	pool_release(&book->subjects, subject);
}

/* --- shares --- */

static struct fair_path path_of(const struct endorse_book *book, const struct addr *source,
				uint8_t class, const uint8_t *endorser)
{
	struct fair_path path;

	if (source->family == ADDR_NONE) {
		fair_path_start(class, &path);
	} else {
		fair_path_of_addr(&book->places.paths, source, class, &path);
		path.level_cnt = NETWORK_LEVEL + 1;
	}
	fair_path_add(&book->places.paths, &path, endorser, SERVICE_MESSAGE_ADDRESS_LEN);
	return path;
}

static struct fair_path path_of_row(const struct endorse_book *book, const struct endorse_row *row)
{
	return path_of(book, &row->source, row->class, row->name);
}

/* The operator's word on an endorser, and this node's own, are worth more than where they came from. */
static uint8_t class_of(const struct endorse_book *book, const struct endorse_row *row,
			uint8_t class)
{
	return row->is_own || offers_endorse_trusts(book, row->key) ? FAIR_CHOSEN : class;
}

void offers_endorse_row_move(struct endorse_book *book, struct endorse_row *row, uint64_t now_ns)
{
	uint8_t class = class_of(book, row, row->class == FAIR_CHOSEN ? FAIR_KNOWN : row->class);
	struct fair_path path;

	if (class == row->class)
		return;
	row->class = class;
	path = path_of_row(book, row);
	fair_move(&book->places.fair, &row->share, &path, now_ns);
}

void offers_endorse_row_renew(struct endorse_book *book, struct endorse_row *row,
			      const struct endorse_put *put)
{
	struct fair_path path;

	row->class = class_of(book, row, (uint8_t)put->class);
	row->source = put->source ? *put->source : (struct addr){.family = ADDR_NONE};
	path = path_of_row(book, row);
	fair_move(&book->places.fair, &row->share, &path, put->now_ns);
}

void offers_endorse_row_came_again(struct endorse_book *book, struct endorse_row *row,
				   const struct endorse_put *put)
{
	struct fair_path former = path_of_row(book, row), path;

	if (!put->source || row->source.family == ADDR_NONE || put->source->family == ADDR_NONE)
		return;
	path = path_of(book, put->source, row->class, row->name);
	if (path.ids[NETWORK_LEVEL] == former.ids[NETWORK_LEVEL] ||
	    fair_held(&book->places.fair, &path, NETWORK_LEVEL) + MARGIN >
		    fair_held(&book->places.fair, &former, NETWORK_LEVEL))
		return;
	row->source = *put->source;
	fair_move(&book->places.fair, &row->share, &path, put->now_ns);
}

/* --- rows --- */

void offers_endorse_name(const struct endorsement *endorsement,
			 uint8_t name[static ENDORSE_NAME_LEN])
{
	memcpy(name, endorsement->endorser_address, SERVICE_MESSAGE_ADDRESS_LEN);
	weft_store_be32(name + SERVICE_MESSAGE_ADDRESS_LEN, endorsement->service);
	memcpy(name + SERVICE_MESSAGE_ADDRESS_LEN + 4, endorsement->provider,
	       SERVICE_MESSAGE_ADDRESS_LEN);
}

void offers_endorse_row_fill(struct endorse_row *row, const struct endorse_put *put,
			     const struct endorsement *said, const uint8_t *key)
{
	if (row->is_expired)
		row->provider->expired_cnt--;
	row->is_expired = false;
	row->is_seed_form = said->is_seed_form;
	row->level = said->level;
	row->made_s = said->made_s;
	row->expires_s = said->expires_s;
	if (row->until_s < said->expires_s)
		row->until_s = said->expires_s;
	memcpy(row->key, key, sizeof(row->key));
	row->len = put->len;
	memcpy(row->bytes, put->bytes, put->len);
}

void offers_endorse_row_expire(struct endorse_row *row)
{
	row->is_expired = true;
	row->provider->expired_cnt++;
	row->level = 0;
}

static void row_link(struct endorse_book *book, struct endorse_row *row,
		     const struct endorsement *said)
{
	int err = map_put(&book->by_name, row->name, row);

	weft_assert(err == 0);
	row->endorser = subject_make(book, said->service, said->endorser_address);
	row->provider = subject_make(book, said->service, said->provider);
	list_push_back(&row->endorser->given, &row->of_endorser);
	list_push_back(&row->provider->received, &row->of_provider);
	row->provider->received_cnt++;
	list_init(&row->of_own);
	if (row->is_own)
		list_push_back(&book->own, &row->of_own);
	else if (memcmp(said->provider, book->own_address, sizeof(book->own_address)) == 0)
		list_push_back(&book->about, &row->of_own);
}

static void row_unlink(struct endorse_book *book, struct endorse_row *row)
{
	offers_endorse_touch(book, row);
	map_delete(&book->by_name, row->name);
	list_unlink(&row->of_endorser);
	list_unlink(&row->of_provider);
	row->provider->received_cnt--;
	row->provider->expired_cnt -= row->is_expired;
	list_unlink(&row->of_own);
	/* No way leads by it any more; the next settling finds others. */
	if (row->provider->way == row)
		row->provider->way = NULL;
	subject_tidy(book, row->endorser);
	subject_tidy(book, row->provider);
}

static struct store_key key_of(const struct endorse_row *row)
{
	return store_key(row->name, sizeof(row->name));
}

struct endorse_row *offers_endorse_row_add(struct endorse_book *book, const struct endorse_put *put,
					   const struct endorsement *said, const uint8_t *key)
{
	struct endorse_row *row = pool_acquire(&book->rows);
	struct fair_item *victim = NULL;
	struct fair_path path;

	weft_assert(row != NULL);
	offers_endorse_name(said, row->name);
	row->until_s = 0;
	row->is_expired = false;
	offers_endorse_row_fill(row, put, said, key);
	if (put->source)
		row->source = *put->source;
	row->is_own =
		memcmp(said->endorser_address, book->own_address, sizeof(book->own_address)) == 0;
	row->class = class_of(book, row, (uint8_t)put->class);
	path = path_of_row(book, row);
	switch (fair_take(&book->places.fair, &path, &row->share, put->now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		book->stats.evicted_cnt++;
		offers_endorse_row_drop(book, (struct endorse_row *)victim, put->now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&book->rows, row);
		return NULL;
	}
	row_link(book, row, said);
	offers_endorse_touch(book, row);
	return row;
}

void offers_endorse_row_drop(struct endorse_book *book, struct endorse_row *row, uint64_t now_ns)
{
	const struct endorse_change change = {.db = STORE_ENDORSEMENTS, .key = key_of(row)};

	offers_endorse_keep_delete(book, &change, now_ns);
	row_unlink(book, row);
	fair_release(&book->places.fair, &row->share, now_ns);
	pool_release(&book->rows, row);
}

/* --- the store --- */

#define RECORD_CAP (RECORD_HEAD_LEN + ENDORSEMENT_LEN_MAX)

static size_t record_make(const struct endorse_row *row, uint8_t value[static RECORD_CAP])
{
	struct writer w = writer_of(value, RECORD_CAP);

	writer_u8(&w, RECORD_LAYOUT);
	writer_u8(&w, row->is_own ? RECORD_OWN : 0);
	writer_u8(&w, row->class);
	writer_u8(&w, row->source.family);
	writer_bytes(&w, row->source.ip, sizeof(row->source.ip));
	writer_bytes(&w, row->key, sizeof(row->key));
	writer_be64(&w, row->until_s);
	writer_bytes(&w, row->bytes, row->len);
	weft_assert(!w.bad);
	return writer_len(&w);
}

void offers_endorse_row_write(struct endorse_book *book, const struct endorse_row *row,
			      uint64_t now_ns)
{
	uint8_t value[RECORD_CAP];
	const struct endorse_change change = {.db = STORE_ENDORSEMENTS,
					      .key = key_of(row),
					      .value = value,
					      .value_len = record_make(row, value)};

	offers_endorse_keep_put(book, &change, now_ns);
}

/* What was kept had a sound signature, and the store checks its rows. false: it is no row any more. */
static bool item_load(struct endorse_book *book, const struct store_item *item)
{
	struct cursor c = cursor_of(item->value, item->value_len);
	uint8_t layout = cursor_u8(&c), flags = cursor_u8(&c), class = cursor_u8(&c);
	struct addr source = {.family = cursor_u8(&c)};
	struct endorse_put put = {.source = &source,
				  .class = class,
				  .now_s = book->params.now_s,
				  .now_ns = book->params.now_ns};
	uint8_t name[ENDORSE_NAME_LEN];
	struct endorsement said;
	struct endorse_row *row;
	const uint8_t *key;
	uint64_t until_s;

	cursor_copy(&c, source.ip, sizeof(source.ip));
	key = cursor_bytes(&c, NODE_KEY_LEN);
	until_s = cursor_be64(&c);
	put.len = cursor_left(&c);
	put.bytes = cursor_bytes(&c, put.len);
	if (c.bad || layout != RECORD_LAYOUT || flags > RECORD_OWN || class >= FAIR_CLASS_CNT ||
	    (source.family != ADDR_NONE && source.family != ADDR_IPV4 &&
	     source.family != ADDR_IPV6) ||
	    offers_endorsement_parse(put.bytes, put.len, &said) < 0 ||
	    until_s + ENDORSE_SHOWN_S <= put.now_s)
		return false;
	/* Trust may have changed since: a row of an endorser that is trusted now is chosen again. */
	if (class == FAIR_CHOSEN)
		put.class = FAIR_KNOWN;
	offers_endorse_name(&said, name);
	if (item->key_len != sizeof(name) || memcmp(item->key, name, sizeof(name)) != 0)
		return false;
	row = offers_endorse_row_add(book, &put, &said, key);
	if (row && row->until_s < until_s)
		row->until_s = until_s;
	return row != NULL;
}

static int rows_load(struct endorse_book *book)
{
	struct store_iter iter =
		store_iter_fresh(book->params.store, STORE_ENDORSEMENTS, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		const struct endorse_change change = {.db = STORE_ENDORSEMENTS,
						      .key = store_key(item.key, item.key_len)};

		if (!item_load(book, &item))
			offers_endorse_keep_delete(book, &change, book->params.now_ns);
	}
	return store_iter_end(&iter);
}

/* --- trust --- */

#define TRUST_PREFIX	 "service-endorser:"
#define TRUST_PREFIX_LEN (sizeof(TRUST_PREFIX) - 1)
#define TRUST_KEY_LEN	 (TRUST_PREFIX_LEN + NODE_KEY_LEN + 4)

static struct store_key trust_key(const struct endorse_trust *trust,
				  uint8_t key[static TRUST_KEY_LEN])
{
	memcpy(key, TRUST_PREFIX, TRUST_PREFIX_LEN);
	memcpy(key + TRUST_PREFIX_LEN, trust->key, NODE_KEY_LEN);
	weft_store_be32(key + TRUST_PREFIX_LEN + NODE_KEY_LEN, trust->service);
	return store_key(key, TRUST_KEY_LEN);
}

void offers_endorse_trust_write(struct endorse_book *book, const struct endorse_trust *trust,
				uint64_t now_ns)
{
	uint8_t key[TRUST_KEY_LEN];
	const struct endorse_change change = {.db = STORE_META,
					      .key = trust_key(trust, key),
					      .value = &trust->level_max,
					      .value_len = 1};

	offers_endorse_keep_put(book, &change, now_ns);
}

void offers_endorse_trust_delete(struct endorse_book *book, const struct endorse_trust *trust,
				 uint64_t now_ns)
{
	uint8_t key[TRUST_KEY_LEN];
	const struct endorse_change change = {.db = STORE_META, .key = trust_key(trust, key)};

	offers_endorse_keep_delete(book, &change, now_ns);
}

/* A key of trust in the store. false: none of this layout. */
static bool trust_parse(const struct store_item *item, struct endorse_trust *out)
{
	if (item->key_len != TRUST_KEY_LEN || item->value_len != 1 || item->value[0] == 0 ||
	    item->value[0] > ENDORSEMENT_LEVEL_MAX)
		return false;
	memcpy(out->key, item->key + TRUST_PREFIX_LEN, NODE_KEY_LEN);
	out->service = weft_load_be32(item->key + TRUST_PREFIX_LEN + NODE_KEY_LEN);
	out->level_max = item->value[0];
	return true;
}

/* false: behind the last row of trust. */
static bool trust_next(struct store_iter *iter, struct store_item *item)
{
	return store_iter_next(iter, item) && item->key_len >= TRUST_PREFIX_LEN &&
	       memcmp(item->key, TRUST_PREFIX, TRUST_PREFIX_LEN) == 0;
}

/* A row of another layout stays, and says nothing. */
static int trust_load(struct endorse_book *book)
{
	struct store_iter iter = store_iter_fresh(book->params.store, STORE_META,
						  store_key(TRUST_PREFIX, TRUST_PREFIX_LEN));
	struct store_item item;

	struct endorse_trust trust;

	while (trust_next(&iter, &item))
		if (trust_parse(&item, &trust) && !offers_endorse_trust_put(book, &trust))
			break;
	return store_iter_end(&iter);
}

int offers_endorse_load(struct endorse_book *book)
{
	int err = trust_load(book);

	return err < 0 ? err : rows_load(book);
}

/* --- what the disk lacks --- */

static int rows_catch_up(struct endorse_book *book, uint64_t now_ns)
{
	struct store_iter iter =
		store_iter_fresh(book->params.store, STORE_ENDORSEMENTS, STORE_ALL);
	uint8_t value[RECORD_CAP];
	struct endorse_row *row = NULL;
	struct store_item item;

	while ((row = pool_next(&book->rows, row)))
		row->is_same = false;
	while (store_iter_next(&iter, &item)) {
		const struct endorse_change change = {.db = STORE_ENDORSEMENTS,
						      .key = store_key(item.key, item.key_len)};

		row = item.key_len == ENDORSE_NAME_LEN ? map_lookup(&book->by_name, item.key)
						       : NULL;
		if (row)
			row->is_same = record_make(row, value) == item.value_len &&
				       memcmp(value, item.value, item.value_len) == 0;
		else
			offers_endorse_keep_delete(book, &change, now_ns);
	}
	row = NULL;
	while ((row = pool_next(&book->rows, row)))
		if (!row->is_same)
			offers_endorse_row_write(book, row, now_ns);
	return store_iter_end(&iter);
}

static int trust_catch_up(struct endorse_book *book, uint64_t now_ns)
{
	struct store_iter iter = store_iter_fresh(book->params.store, STORE_META,
						  store_key(TRUST_PREFIX, TRUST_PREFIX_LEN));
	const struct endorse_trusted *trusted = NULL;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], name[ENDORSE_SUBJECT_LEN];
	struct endorse_trust trust;
	struct store_item item;

	while (trust_next(&iter, &item)) {
		if (!trust_parse(&item, &trust))
			continue;
		offers_address(trust.key, address);
		offers_endorse_subject_name(trust.service, address, name);
		if (!map_lookup(&book->by_trust, name))
			offers_endorse_trust_delete(book, &trust, now_ns);
	}
	while ((trusted = pool_next(&book->trusted, trusted)))
		offers_endorse_trust_write(book, &trusted->trust, now_ns);
	return store_iter_end(&iter);
}

int offers_endorse_catch_up(struct endorse_book *book, uint64_t now_ns)
{
	int err = rows_catch_up(book, now_ns);

	return err < 0 ? err : trust_catch_up(book, now_ns);
}
