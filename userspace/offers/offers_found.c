/* SPDX-License-Identifier: Apache-2.0 */
/* Offers that are kept here, as they are read, named and found. */
#include <string.h>

#include "codec/text/zbase32.h"
#include "offers/store/offer_index.h"
#include "service_offers_state.h"

/* --- names --- */

/* An offer of the store whose name begins as wanted. */
struct naming {
	const char *wanted;
	size_t wanted_len;
	bool own_alone;
	unsigned found_cnt;
	struct offer_name name;
};

static bool on_named(void *arg, const struct offer_name *name, bool is_own)
{
	struct naming *naming = arg;
	uint8_t ref[OFFER_REF_LEN];
	char text[OFFER_REF_TEXT_CAP];

	offers_ref(name->service, name->provider, name->offer_id, ref);
	zbase32_write(ref, sizeof(ref), text);
	if ((naming->own_alone && !is_own) ||
	    strncmp(text, naming->wanted, naming->wanted_len) != 0)
		return true;
	naming->name = *name;
	return ++naming->found_cnt < 2;
}

static int name_find(struct service_offers *offers, const char *wanted, bool own_alone,
		     struct offer_name *out_name)
{
	struct naming naming = {
		.wanted = wanted, .wanted_len = strlen(wanted), .own_alone = own_alone};
	uint8_t prefix[OFFER_REF_PREFIX_LEN];

	if (naming.wanted_len < OFFER_REF_TEXT_MIN || naming.wanted_len >= OFFER_REF_TEXT_CAP)
		return WEFT_EMALFORMED;
	if (zbase32_parse(wanted, OFFER_REF_TEXT_MIN, prefix, sizeof(prefix)) < 0)
		return WEFT_EABSENT;
	offers_store_refs(offers->store, prefix, on_named, &naming);
	*out_name = naming.name;
	if (naming.found_cnt == 0)
		return WEFT_EABSENT;
	return naming.found_cnt > 1 ? WEFT_EEXISTS : 0;
}

int offers_name_own(struct service_offers *offers, const char *name, struct offer_name *out_name)
{
	return name_find(offers, name, true, out_name);
}

int offers_name_any(struct service_offers *offers, const char *name, struct offer_name *out_name)
{
	return name_find(offers, name, false, out_name);
}

/* --- reading --- */

static bool reading_update(struct offer_reading *reading, const struct schema *schema,
			   const struct offer_view *view)
{
	struct schema_payload payload = {.is_update = true};
	struct schema_fault fault;
	struct offer_terms terms;

	if (offers_message_parse(view->update, view->update_len, &reading->update) < 0 ||
	    offer_terms_read(&reading->update, &terms) < 0)
		return false;
	payload.bytes = reading->update.payload;
	payload.len = reading->update.payload_len;
	payload.version = reading->update.version;
	payload.may_name = !reading->update.is_full_cover;
	if (offers_schema_read(schema, &payload, &reading->changes, &fault) < 0 ||
	    offers_schema_record_merge(schema, &reading->record, &reading->changes, &fault) < 0)
		return false;
	offer_terms_update(&reading->terms, &terms);
	return true;
}

const struct found_offer *offers_read(struct service_offers *offers, const struct offer_view *view)
{
	struct offer_reading *reading = &offers->reading;
	struct service_message *announce = &reading->announce;
	struct schema_payload payload = {0};
	const struct schema *schema;
	struct schema_fault fault;

	if (view->is_tombstone ||
	    offers_message_parse(view->announce, view->announce_len, announce) < 0 ||
	    offer_terms_read(announce, &reading->terms) < 0)
		return NULL;
	schema = offers_schema_registry_lookup(offers->registry, announce->service,
					       reading->terms.schema, reading->terms.schema_len);
	payload.bytes = announce->payload;
	payload.len = announce->payload_len;
	payload.version = announce->version;
	payload.may_name = !announce->is_full_cover;
	if (!schema || offers_schema_read(schema, &payload, &reading->record, &fault) < 0 ||
	    (view->update && !reading_update(reading, schema, view)))
		return NULL;
	reading->offer = (struct found_offer){
		.schema = schema,
		.record = &reading->record,
		.provider_key = reading->terms.provider_key,
		.provider = announce->provider,
		.is_own = view->is_own,
		.level = (uint8_t)view->level,
		.endorsement_cnt =
			offers_endorse_cnt(offers->book, announce->service, announce->provider),
		.expired_cnt = offers_endorse_expired_cnt(offers->book, announce->service,
							  announce->provider),
		.units = reading->terms.units,
		.sequence = reading->terms.sequence,
		.published_s = announce->timestamp_s,
		.expires_s = view->expires_s,
	};
	if (view->is_own)
		reading->offer.units_left = offers_units_left(
			offers, announce->service, reading->terms.offer_id, reading->terms.units);
	offers_ref(announce->service, announce->provider, reading->terms.offer_id,
		   reading->offer.ref);
	return &reading->offer;
}

/* --- shown --- */

bool offers_view_give(void *arg, const struct offer_view *view)
{
	struct offer_showing *showing = arg;
	const struct found_offer *offer = offers_read(showing->offers, view);

	if (!offer || (showing->schema && offer->schema != showing->schema))
		return true;
	if (showing->skip > 0) {
		showing->skip--;
		return true;
	}
	showing->is_shown = true;
	showing->fn(showing->arg, offer);
	return !showing->is_full || !showing->is_full(showing->arg);
}

static bool on_schema(void *arg, const struct offer_view *view)
{
	struct offer_showing *showing = arg;
	const struct found_offer *offer = offers_read(showing->offers, view);

	showing->schema = offer ? offer->schema : NULL;
	return false;
}

const struct schema *offers_schema_of(struct service_offers *offers, const struct offer_name *name)
{
	struct offer_showing showing = {.offers = offers};

	if (name->service != OFFERS_CUSTOM_SERVICE)
		return offers_schema_registry_lookup(offers->registry, name->service, NULL, 0);
	/* One that is not here any more has none. */
	return offers_store_get(offers->store, name, on_schema, &showing) < 0 ? NULL
									      : showing.schema;
}

int offers_show(struct service_offers *offers, const char *name, found_offer_fn fn, void *arg)
{
	struct offer_showing showing = {.offers = offers, .fn = fn, .arg = arg};
	struct offer_name found;
	int err = name_find(offers, name, false, &found);

	if (err == 0)
		err = offers_store_get(offers->store, &found, offers_view_give, &showing);
	if (err == 0 && !showing.is_shown)
		return WEFT_EUNKNOWN;
	return err;
}

int offers_each_own(struct service_offers *offers, const struct own_offers_ask *ask)
{
	struct offer_showing showing = {.offers = offers,
					.schema = ask->schema,
					.skip = ask->skip,
					.fn = ask->fn,
					.is_full = ask->is_full,
					.arg = ask->arg};

	return offers_store_each(offers->store, true, offers_view_give, &showing);
}

uint8_t offers_level_wanted(const struct offer_page_ask *ask, const struct schema *schema)
{
	return ask->has_level ? ask->level : schema->min_verification;
}

int offers_find(struct service_offers *offers, const struct offer_page_ask *ask,
		struct offer_search_result *out_result)
{
	const struct offer_wanted *wanted = &ask->wanted[0];
	struct offer_showing showing = {.offers = offers,
					.schema = wanted->schema,
					.fn = ask->fn,
					.is_full = ask->is_full,
					.arg = ask->arg};
	const struct offer_search search = {
		.schema = wanted->schema,
		.query = wanted->query,
		.before = ask->before,
		.page_max = ask->page_max,
		.now_s = offers->params.wall_s(offers->params.ctx),
		.level_min = offers_level_wanted(ask, wanted->schema),
		.fn = offers_view_give,
		.arg = &showing,
	};

	if (ask->wanted_cnt > 1)
		return offers_find_several(offers, ask, out_result);
	return offers_store_search(offers->store, &search, out_result);
}

static bool on_left_out(void *arg, const struct offer_view *view)
{
	(void)arg, (void)view;
	return true;
}

unsigned offers_left_out(struct service_offers *offers, const struct offer_page_ask *ask)
{
	struct offer_search search = {
		.before = OFFER_NEWEST,
		.page_max = OFFERS_LEFT_OUT_MAX,
		.visit_max = OFFER_VISITS_MAX / ask->wanted_cnt,
		.now_s = offers->params.wall_s(offers->params.ctx),
		.fn = on_left_out,
	};
	struct offer_search_result result;
	unsigned cnt = 0;

	for (unsigned i = 0; i < ask->wanted_cnt; i++) {
		search.schema = ask->wanted[i].schema;
		search.query = ask->wanted[i].query;
		search.level_end = offers_level_wanted(ask, search.schema);
		if (search.level_end && offers_store_search(offers->store, &search, &result) == 0)
			cnt += result.cnt;
	}
	return cnt < OFFERS_LEFT_OUT_MAX ? cnt : OFFERS_LEFT_OUT_MAX;
}
