/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_OFFER_STORE_RIG_H
#define WEFT_TESTS_OFFER_STORE_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "offers/store/offer_index.h"
#include "offers/store/offer_store.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

/*
 * A store of offers over a store in a scratch directory, and messages of many providers. The
 * signatures are none: the store is given what was verified before.
 */
#define RIG_NOON_S 1800000000ull
#define RIG_SCHEMA                                                                                 \
	"[service]\nname = rooms\n"                                                                \
	"[field kind]\ntype = choice\nchoices = shared, flat, house\nrequired = yes\n"             \
	"[field rent]\ntype = number\nmin = 0\nmax = 65535\nrequired = yes\n"                      \
	"[field postcode]\ntype = postcode\n"                                                      \
	"[field tags]\ntype = words\nitems = 40\n"                                                 \
	"[field text]\ntype = text\nmax = 8000\n"                                                  \
	"[filter kind]\nfield = kind\n"                                                            \
	"[filter max_rent]\nfield = rent\nmatch = at-most\n"                                       \
	"[filter plz]\nfield = postcode\nmatch = prefix\n"                                         \
	"[filter tags]\nfield = tags\nmatch = any-of\n"

struct rig {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct offer_store *offers;
	struct schema *schema;
	struct random dice;
	uint32_t unit_cap;
	uint64_t now_s, now_ns;
	unsigned done_cnt, failed_cnt;
};

static struct rig rig;

/* What is said in a message; zeros stand for what is usual. */
struct rig_word {
	uint8_t type; /* 0: an Announce */
	unsigned provider, offer;
	uint64_t sequence; /* 0: 1 */
	uint64_t base;
	uint64_t at_s;	    /* 0: now */
	unsigned ttl_hours; /* 0: 24 */
	unsigned network;   /* it came from; 0: 1 */
	bool is_own, is_seed_form;
	const char *fields[8]; /* FIELD=VALUE */
};

static inline void rig_die(const struct schema_fault *fault)
{
	printf("Bail out! %u: %s: %s\n", fault->line, fault->field, fault->what);
	exit(1);
}

static inline void rig_open(void)
{
	struct offer_store_params params = {.random = &rig.dice, .unit_cap = rig.unit_cap};

	rig.store = params.store = scratch_store(rig.dir, true);
	if (offers_store_open(&params, &rig.offers) < 0 ||
	    offers_store_add(rig.offers, rig.schema) < 0 ||
	    offers_store_load(rig.offers, rig.now_s, rig.now_ns) < 0)
		abort();
}

static inline void rig_begin(uint32_t unit_cap)
{
	struct schema_fault fault;

	memset(&rig, 0, sizeof(rig));
	scratch_make(rig.dir);
	random_init_seeded(&rig.dice, seed_of_run(7));
	rig.unit_cap = unit_cap;
	rig.now_s = RIG_NOON_S;
	rig.now_ns = NS_PER_S;
	if (offers_schema_parse(RIG_SCHEMA, strlen(RIG_SCHEMA), &rig.schema, &fault) < 0)
		rig_die(&fault);
	rig_open();
}

static inline void rig_close(void)
{
	offers_store_close(rig.offers);
	store_close(rig.store);
}

static inline void rig_end(void)
{
	rig_close();
	offers_schema_free(rig.schema);
	scratch_remove(rig.dir);
}

/* What is not durable is gone, as with kill -9. */
static inline void rig_crash(void)
{
	store_freeze(rig.store);
	offers_store_close(rig.offers);
	store_crash(rig.store);
	rig_open();
}

/* Time passes until everything that was put is durable. */
static inline unsigned rig_pass(uint64_t s)
{
	unsigned cnt;

	rig.now_s += s;
	rig.now_ns += s * NS_PER_S + 2 * OFFER_KEEP_WINDOW_NS;
	cnt = offers_store_expire(rig.offers, rig.now_s, rig.now_ns);
	(void)store_reap(rig.store);
	return cnt;
}

static inline void rig_done(void *arg, int err)
{
	(void)arg;
	rig.done_cnt += err == 0;
	rig.failed_cnt += err < 0;
}

static inline void rig_key(unsigned provider, uint8_t key[static OFFER_KEY_LEN])
{
	memset(key, 0x5a, OFFER_KEY_LEN);
	memcpy(key, &provider, sizeof(provider));
}

/* A message and what it was made of. */
struct rig_message {
	uint8_t bytes[40000], payload[39000], key[OFFER_KEY_LEN];
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	size_t len;
	struct service_message msg;
	struct offer_terms terms;
};

static inline void rig_write(const struct rig_word *word, struct rig_message *out)
{
	static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};
	static struct schema_record record;
	static uint8_t pairs[38000];
	struct writer w = writer_of(pairs, sizeof(pairs));
	struct offer_fields fields = {.bytes = pairs};
	struct schema_fault fault;
	uint8_t type = word->type ? word->type : SERVICE_MESSAGE_ANNOUNCE;

	rig_key(word->provider, out->key);
	offers_address(out->key, out->address);
	offers_schema_record_init(&record, type == SERVICE_MESSAGE_UPDATE);
	for (unsigned i = 0; i < 8 && word->fields[i]; i++)
		if (offers_schema_value_from_text(rig.schema, word->fields[i], &record, &fault) < 0)
			abort();
	if (!word->fields[0] && type == SERVICE_MESSAGE_ANNOUNCE &&
	    (offers_schema_value_from_text(rig.schema, "kind=flat", &record, &fault) < 0 ||
	     offers_schema_value_from_text(rig.schema, "rent=500", &record, &fault) < 0))
		abort();
	offers_schema_fields_write(rig.schema, &record, &w);
	fields.len = writer_len(&w);
	fields.cnt = offers_schema_fields_cnt(&record);
	out->terms = (struct offer_terms){.provider_key = out->key,
					  .has_sequence = true,
					  .sequence = word->sequence ? word->sequence : 1,
					  .base = word->base,
					  .units = 1};
	memcpy(out->terms.offer_id, &word->offer, sizeof(word->offer));
	w = writer_of(out->payload, sizeof(out->payload));
	offer_terms_write(&w, type, &out->terms, &fields);
	out->msg = (struct service_message){
		.service = rig.schema->id,
		.type = type,
		.is_full_cover = !word->is_seed_form,
		.version = 1,
		.provider = out->address,
		.signature = signature,
		.hop_max = 4,
		.ttl_hours = (uint16_t)(word->ttl_hours ? word->ttl_hours : 24),
		.timestamp_s = word->at_s ? word->at_s : rig.now_s,
		.payload = out->payload,
		.payload_len = writer_len(&w)};
	w = writer_of(out->bytes, sizeof(out->bytes));
	offers_message_write(&w, &out->msg);
	out->len = writer_len(&w);
	if (w.bad || offers_message_parse(out->bytes, out->len, &out->msg) < 0 ||
	    offer_terms_read(&out->msg, &out->terms) < 0)
		abort();
}

static inline enum offer_verdict rig_put_message(const struct rig_word *word,
						 const struct rig_message *message)
{
	unsigned network = word->network ? word->network : 1;
	struct addr source = {.ip = {20, (uint8_t)(network >> 8), (uint8_t)network, 1},
			      .port = 1,
			      .family = ADDR_IPV4};
	struct offer_put put = {.bytes = message->bytes,
				.len = message->len,
				.msg = &message->msg,
				.terms = &message->terms,
				.source = word->is_own ? NULL : &source,
				.hop_cnt = message->msg.hop_cnt,
				.now_s = rig.now_s,
				.now_ns = rig.now_ns,
				.done = rig_done};

	return offers_store_put(rig.offers, &put, NULL);
}

static inline enum offer_verdict rig_put(const struct rig_word *word)
{
	static struct rig_message message;

	rig_write(word, &message);
	return rig_put_message(word, &message);
}

/* The latest view that was given, copied. */
struct rig_view {
	uint8_t announce[40000], update[40000];
	struct offer_view view;
};
static struct rig_view rig_seen;

static inline bool rig_see(void *arg, const struct offer_view *view)
{
	(void)arg;
	rig_seen.view = *view;
	memcpy(rig_seen.announce, view->announce, view->announce_len);
	if (view->update)
		memcpy(rig_seen.update, view->update, view->update_len);
	return true;
}

/* Whether the offer is there, a tombstone or not; rig_seen is it. */
static inline bool rig_get(unsigned provider, unsigned offer)
{
	uint8_t key[OFFER_KEY_LEN];
	struct offer_name name = {.service = rig.schema->id};

	rig_key(provider, key);
	offers_address(key, name.provider);
	memcpy(name.offer_id, &offer, sizeof(offer));
	return offers_store_get(rig.offers, &name, rig_see, NULL) == 0;
}

static inline bool rig_is_live(unsigned provider, unsigned offer)
{
	return rig_get(provider, offer) && !rig_seen.view.is_tombstone;
}

/* How many offers match FILTER=VALUE words, over all pages. */
static inline unsigned rig_find(const char *const *words)
{
	static struct schema_query query;
	struct offer_search search = {.schema = rig.schema,
				      .query = &query,
				      .before = OFFER_NEWEST,
				      .page_max = 50,
				      .now_s = rig.now_s,
				      .fn = rig_see};
	struct offer_search_result result;
	struct schema_fault fault;
	unsigned cnt = 0;

	offers_schema_query_init(&query);
	for (; words && *words; words++)
		if (offers_schema_query_from_text(rig.schema, *words, &query, &fault) < 0)
			abort();
	do {
		if (offers_store_search(rig.offers, &search, &result) < 0)
			abort();
		cnt += result.cnt;
		search.before = result.next;
	} while (result.next);
	return cnt;
}
#define RIG_FIND(...) rig_find((const char *const[]){__VA_ARGS__, NULL})

static inline struct offer_store_counts rig_counts(void)
{
	struct offer_store_counts counts;

	offers_store_count(rig.offers, &counts);
	return counts;
}

#endif
