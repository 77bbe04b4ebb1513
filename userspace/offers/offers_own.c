/* SPDX-License-Identifier: Apache-2.0 */
/* Offers of this node: published, changed, withdrawn, and announced again. */
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "service_offers_state.h"

#define OFFERS_AGAIN_CNT                                                                           \
	4u /* at once; below a neighbour's announces_per_min with those of a minute */

/* A message of this node that is made. */
struct making {
	const struct offer_draft *draft;
	const struct schema *schema;
	struct service_message message;
	struct offer_terms terms;
	uint8_t reserve_key[AGREED_KEY_LEN];
};

static int fault_of(struct schema_fault *fault, int err, const char *what, const char *next)
{
	*fault = (struct schema_fault){0};
	snprintf(fault->what, sizeof(fault->what), "%s", what);
	snprintf(fault->next, sizeof(fault->next), "%s", next);
	return err;
}

static int words_read(const struct schema *schema, const struct offer_draft *draft,
		      struct schema_record *record, struct schema_fault *fault)
{
	for (size_t i = 0; i < draft->word_cnt; i++) {
		int err = offers_schema_value_from_text(schema, draft->words[i], record, fault);

		if (err < 0)
			return err;
	}
	return 0;
}

/* Signs the message into offers->made; returns its length, or 0 when it is too long. */
static size_t making_sign(struct service_offers *offers, struct making *making,
			  const struct schema_record *record)
{
	struct writer f = writer_of(offers->fields, sizeof(offers->fields));
	struct writer p = writer_of(offers->payload, sizeof(offers->payload));
	struct writer w = writer_of(offers->made, sizeof(offers->made));
	struct offer_fields values = {.bytes = offers->fields};

	if (record) {
		offers_schema_fields_write(making->schema, record, &f);
		values.cnt = offers_schema_fields_cnt(record);
		values.len = writer_len(&f);
	}
	offer_terms_write(&p, making->message.type, &making->terms, &values);
	making->message.payload = offers->payload;
	making->message.payload_len = writer_len(&p);
	offers_message_sign(&w, &making->message, offers->params.key);
	return f.bad || p.bad || w.bad ? 0 : writer_len(&w);
}

static int put_failed(enum offer_verdict verdict, struct schema_fault *fault)
{
	switch (verdict) {
	case OFFER_UNFIT:
		return WEFT_EMALFORMED;
	case OFFER_FULL:
		return fault_of(fault, WEFT_EFULL,
				"this node's own offers fill their part of offers.room",
				"raise offers.room in weft.conf(5); withdrawn ones leave when "
				"their time is over");
	case OFFER_LAGS:
		return fault_of(fault, WEFT_EBUSY, "the disk does not keep up",
				"try again in some seconds");
	case OFFER_EXPIRED:
	case OFFER_EARLY:
		return fault_of(fault, WEFT_ESTALE, "it has expired", "publish it again");
	default:
		return fault_of(fault, WEFT_ESTALE, "a newer word on it is here",
				"look at it with weft offer show, and try again");
	}
}

/* An Announce and its Update go into one Response. Longer offers would be found by no query. */
static bool is_answerable(const struct service_offers *offers, const struct making *making,
			  size_t len)
{
	if (making->message.type == SERVICE_MESSAGE_REVOKE)
		return true;
	if (making->message.type == SERVICE_MESSAGE_UPDATE)
		len += offers->changing.announce_len;
	return len <= SERVICE_RESPONSE_ENTRY_LEN_MAX;
}

static int making_put(struct service_offers *offers, struct making *making, size_t len,
		      uint64_t now_ns, struct schema_fault *fault)
{
	struct service_message message;
	struct offer_terms terms;
	struct offer_put put = {
		.bytes = offers->made,
		.len = len,
		.msg = &message,
		.terms = &terms,
		.class = FAIR_CHOSEN,
		.now_s = offers->params.wall_s(offers->params.ctx),
		.now_ns = now_ns,
		.done = making->draft->done,
		.arg = making->draft->arg,
	};
	enum offer_verdict verdict;

	if (len == 0 || offers_message_parse(offers->made, len, &message) < 0 ||
	    offer_terms_read(&message, &terms) < 0)
		return fault_of(fault, WEFT_ETOOLARGE, "its values are longer than 65,535 bytes",
				"shorten them");
	if (!is_answerable(offers, making, len))
		return fault_of(
			fault, WEFT_ETOOLARGE,
			"it is longer than 65,500 bytes, so no answer to a query could have "
			"it",
			"shorten them; an update counts beside what it changes");
	verdict = offers_store_put(offers->store, &put, fault);
	if (!offers_verdict_is_stored(verdict))
		return put_failed(verdict, fault);
	(void)offers_spread_announce(offers->spread, offers->made, len, now_ns);
	offers_roles_changed(offers, now_ns);
	offers_stored(offers, &message, &terms);
	offers_due(offers, now_ns);
	return 0;
}

/* What all messages of an offer of schema have. */
static struct making making_of(struct service_offers *offers, const struct schema *schema,
			       const struct offer_draft *draft)
{
	return (struct making){
		.draft = draft,
		.schema = schema,
		.message = {.service = schema->id,
			    .version = schema->version,
			    .is_full_cover = !draft->is_seed_form,
			    .hop_max = (uint8_t)offers->params.config.spread.hops_max,
			    .ttl_hours = draft->ttl_hours ? draft->ttl_hours : schema->ttl_hours,
			    .timestamp_s = offers->params.wall_s(offers->params.ctx)},
		.terms = {.provider_key = node_key_public(offers->params.key),
			  .has_sequence = true,
			  .units = 1},
	};
}

/* A key for this offer's reservations alone: what one is sealed to does not outlive the offer. */
static void making_reserve_key(const struct service_offers *offers, struct making *making)
{
	uint8_t secret[AGREED_KEY_LEN];

	offers_reserve_secret(offers->params.key, making->message.service, making->terms.offer_id,
			      secret);
	agreed_public(secret, making->reserve_key);
	explicit_bzero(secret, sizeof(secret));
	making->terms.has_reserve_key = true;
	making->terms.reserve_key = making->reserve_key;
}

int offers_publish(struct service_offers *offers, const struct offer_draft *draft, uint64_t now_ns,
		   uint8_t out_ref[static OFFER_REF_LEN], struct schema_fault *fault)
{
	const struct schema *schema = draft->schema;
	struct making making = making_of(offers, schema, draft);
	struct schema_record *record = &offers->reading.record;
	int err;

	if (draft->is_seed_form && !schema->takes_seed_form)
		return fault_of(fault, WEFT_EREFUSED,
				"the service takes no signature of the seed form",
				"publish it with the usual signature");
	offers_schema_record_init(record, false);
	if ((err = words_read(schema, draft, record, fault)) < 0 ||
	    (err = offers_schema_check(schema, record, fault)) < 0)
		return err;
	making.message.type = SERVICE_MESSAGE_ANNOUNCE;
	making.terms.sequence = making.message.timestamp_s;
	if (draft->units > 1) {
		making.terms.has_units = true;
		making.terms.units = draft->units;
	}
	if (schema->id == OFFERS_CUSTOM_SERVICE) {
		making.terms.schema = schema->name;
		making.terms.schema_len = strlen(schema->name);
	}
	random_fill(offers->params.random, making.terms.offer_id, OFFER_ID_LEN);
	making_reserve_key(offers, &making);
	offers_ref(schema->id, offers->address, making.terms.offer_id, out_ref);
	return making_put(offers, &making, making_sign(offers, &making, record), now_ns, fault);
}

/* --- changes --- */

static bool on_changing(void *arg, const struct offer_view *view)
{
	struct offer_changing *changing = arg;
	struct service_message announce;
	struct offer_terms terms;

	if (view->is_tombstone ||
	    offers_message_parse(view->announce, view->announce_len, &announce) < 0 ||
	    offer_terms_read(&announce, &terms) < 0)
		return false;
	changing->schema = offers_schema_registry_lookup(
		changing->offers->registry, announce.service, terms.schema, terms.schema_len);
	changing->base = changing->newest = terms.sequence;
	changing->announce_len = view->announce_len;
	changing->ttl_hours = announce.ttl_hours;
	changing->is_full_cover = announce.is_full_cover;
	memcpy(changing->offer_id, terms.offer_id, OFFER_ID_LEN);
	if (!view->update)
		return false;
	memcpy(changing->update, view->update, view->update_len);
	changing->update_len = view->update_len;
	if (offers_message_parse(changing->update, view->update_len, &changing->message) == 0 &&
	    offer_terms_read(&changing->message, &terms) == 0)
		changing->newest = terms.sequence;
	changing->has_units = terms.has_units;
	changing->units = terms.units;
	return false;
}

static int changing_find(struct service_offers *offers, const char *name,
			 struct offer_changing *changing, struct schema_fault *fault)
{
	struct offer_name found;
	int err = offers_name_own(offers, name, &found);

	changing->offers = offers;
	changing->schema = NULL;
	changing->update_len = 0;
	changing->has_units = false;
	if (err == WEFT_EABSENT)
		return fault_of(fault, err, "this node has no such offer",
				"weft offer list shows those that it has");
	if (err == WEFT_EEXISTS)
		return fault_of(fault, err, "several of this node's offers begin so",
				"give more letters");
	if (err == WEFT_EMALFORMED)
		return fault_of(fault, err, "an offer is named by 8 to 26 letters",
				"weft offer list shows them");
	if (err == 0)
		err = offers_store_get(offers->store, &found, on_changing, changing);
	if (err < 0)
		return fault_of(fault, err, "it cannot be read", "see weft store check");
	if (!changing->schema)
		return fault_of(fault, WEFT_EUNKNOWN, "its schema is not known here any more",
				"add the schema again, with weft schema add");
	return 0;
}

static struct making making_change(struct service_offers *offers,
				   const struct offer_changing *changing,
				   const struct offer_draft *draft)
{
	struct making making = making_of(offers, changing->schema, draft);
	uint64_t now_s = making.message.timestamp_s;

	making.message.is_full_cover = changing->is_full_cover;
	making.message.ttl_hours = changing->ttl_hours;
	making.terms.sequence = changing->newest + 1 > now_s ? changing->newest + 1 : now_s;
	making.terms.base = changing->base;
	memcpy(making.terms.offer_id, changing->offer_id, OFFER_ID_LEN);
	return making;
}

int offers_update(struct service_offers *offers, const struct offer_draft *draft, uint64_t now_ns,
		  uint8_t out_ref[static OFFER_REF_LEN], struct schema_fault *fault)
{
	struct offer_changing *changing = &offers->changing;
	struct schema_record *record = &offers->reading.changes, *words = &offers->reading.record;
	struct schema_payload payload = {.is_update = true};
	struct making making;
	int err = changing_find(offers, draft->name, changing, fault);

	if (err < 0)
		return err;
	offers_schema_record_init(record, true);
	if (changing->update_len) {
		payload.bytes = changing->message.payload;
		payload.len = changing->message.payload_len;
		payload.version = changing->message.version;
		payload.may_name = !changing->message.is_full_cover;
		if ((err = offers_schema_read(changing->schema, &payload, record, fault)) < 0)
			return err;
	}
	offers_schema_record_init(words, true);
	if ((err = words_read(changing->schema, draft, words, fault)) < 0)
		return err;
	for (unsigned i = 0; i < changing->schema->field_cnt; i++)
		if (words->values[i].state != SCHEMA_ABSENT)
			record->values[i] = words->values[i];
	making = making_change(offers, changing, draft);
	making.message.type = SERVICE_MESSAGE_UPDATE;
	/* It takes back the earlier update, with its units. */
	if (draft->units || changing->has_units) {
		making.terms.has_units = true;
		making.terms.units = draft->units ? draft->units : changing->units;
	}
	offers_ref(changing->schema->id, offers->address, changing->offer_id, out_ref);
	return making_put(offers, &making, making_sign(offers, &making, record), now_ns, fault);
}

int offers_revoke(struct service_offers *offers, const struct offer_draft *draft, uint64_t now_ns,
		  struct schema_fault *fault)
{
	struct offer_changing *changing = &offers->changing;
	struct making making;
	int err = changing_find(offers, draft->name, changing, fault);

	if (err < 0)
		return err;
	making = making_change(offers, changing, draft);
	making.message.type = SERVICE_MESSAGE_REVOKE;
	return making_put(offers, &making, making_sign(offers, &making, NULL), now_ns, fault);
}

/* --- said again --- */

/*
 * Some own offers, each as likely as another. A node that comes later learns of all of them that way,
 * and no neighbour gets more in a minute than it takes.
 */
struct again {
	struct service_offers *offers;
	struct offer_name names[OFFERS_AGAIN_CNT];
	unsigned seen_cnt, cnt;
	const uint8_t *key; /* NULL: to several */
	uint64_t now_ns;
};

static bool on_own(void *arg, const struct offer_name *name, bool is_withdrawn)
{
	struct again *again = arg;
	unsigned at = again->cnt;

	(void)is_withdrawn;
	again->seen_cnt++;
	if (again->cnt < OFFERS_AGAIN_CNT)
		again->cnt++;
	else
		at = (unsigned)random_below(again->offers->params.random, again->seen_cnt);
	if (at < again->cnt)
		again->names[at] = *name;
	return true;
}

static void say(const struct again *again, const uint8_t *bytes, size_t len)
{
	if (again->key)
		(void)offers_spread_send(again->offers->spread, again->key, bytes, len,
					 again->now_ns);
	else
		(void)offers_spread_announce(again->offers->spread, bytes, len, again->now_ns);
}

static bool on_again(void *arg, const struct offer_view *view)
{
	const struct again *again = arg;

	say(again, view->announce, view->announce_len);
	if (view->update)
		say(again, view->update, view->update_len);
	return false;
}

void offers_say_again(struct service_offers *offers, const uint8_t *key, uint64_t now_ns)
{
	struct again again = {.offers = offers, .key = key, .now_ns = now_ns};
	struct offer_store_counts counts;

	offers_store_count(offers->store, &counts);
	if (counts.own_cnt)
		offers_store_words(offers->store, on_own, &again);
	for (unsigned i = 0; i < again.cnt; i++)
		if (offers_store_get(offers->store, &again.names[i], on_again, &again) < 0)
			return;
}
