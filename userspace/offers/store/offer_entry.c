/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record says. Its messages are parsed. The Update's fields are laid over the Announce's, and
 * the keys of the index are made of them. Records are the store's own, so what was accepted
 * once is only refused when the schema has changed.
 */
#include <string.h>

#include "offer_store_state.h"

static int message_read(const uint8_t *bytes, size_t len, struct service_message *out_msg,
			struct offer_terms *out_terms)
{
	int err = offers_message_parse(bytes, len, out_msg);

	return err < 0 ? err : offer_terms_read(out_msg, out_terms);
}

uint8_t offers_kind_of(const struct offer_store *store, uint32_t service,
		       const struct offer_terms *terms)
{
	for (unsigned i = 0; i < OFFER_SERVICES_MAX; i++) {
		const struct schema *schema = store->kinds[i].schema;

		if (!schema || schema->id != service)
			continue;
		/* Services without an id of their own are told apart by the schema's name. */
		if (service != OFFERS_CUSTOM_SERVICE ||
		    (terms->schema && terms->schema_len == strlen(schema->name) &&
		     memcmp(terms->schema, schema->name, terms->schema_len) == 0))
			return (uint8_t)i;
	}
	return OFFER_NO_KIND;
}

int offers_entry_read(const struct offer_store *store, const struct offer_record *record,
		      struct offer_entry *out_entry)
{
	struct offer_entry *entry = out_entry;
	const struct service_message *newest = &entry->announce;
	const struct offer_terms *terms = &entry->terms;

	entry->record = *record;
	if (message_read(record->announce, record->announce_len, &entry->announce, &entry->terms) <
		    0 ||
	    entry->announce.type !=
		    (record->is_tombstone ? SERVICE_MESSAGE_REVOKE : SERVICE_MESSAGE_ANNOUNCE))
		return WEFT_EMALFORMED;
	if (record->update) {
		if (message_read(record->update, record->update_len, &entry->update,
				 &entry->update_terms) < 0 ||
		    entry->update.type != SERVICE_MESSAGE_UPDATE)
			return WEFT_EMALFORMED;
		newest = &entry->update;
		terms = &entry->update_terms;
	}
	entry->sequence = terms->sequence;
	entry->timestamp_s = newest->timestamp_s;
	entry->kind = OFFER_NO_KIND;
	if (!record->is_tombstone)
		entry->kind = offers_kind_of(store, entry->announce.service, &entry->terms);
	return 0;
}

static int fields_read(const struct schema *schema, const struct service_message *msg,
		       struct schema_record *out, struct schema_fault *fault)
{
	const struct schema_payload payload = {.bytes = msg->payload,
					       .len = msg->payload_len,
					       .version = msg->version,
					       .may_name = !msg->is_full_cover,
					       .is_update = msg->type == SERVICE_MESSAGE_UPDATE};

	return offers_schema_read(schema, &payload, out, fault);
}

int offers_entry_fields(struct offer_store *store, const struct offer_entry *entry,
			struct schema_fault *fault)
{
	const struct schema *schema = store->kinds[entry->kind].schema;
	struct schema_fault unheard;
	int err;

	fault = fault ? fault : &unheard;
	err = fields_read(schema, &entry->announce, &store->record, fault);
	if (err < 0 || !entry->record.update)
		return err;
	err = fields_read(schema, &entry->update, &store->update, fault);
	return err < 0 ? err
		       : offers_schema_record_merge(schema, &store->record, &store->update, fault);
}

int offers_entry_keys(struct offer_store *store, const struct offer_entry *entry,
		      struct schema_fault *fault)
{
	const struct schema *schema;
	int err, key_cnt = 0;

	if (entry->kind == OFFER_NO_KIND)
		return 0;
	if ((err = offers_entry_fields(store, entry, fault)) < 0)
		return err;
	schema = store->kinds[entry->kind].schema;
	for (unsigned i = 0; i < schema->column_cnt; i++) {
		store->keys.cnts[i] =
			(uint8_t)offers_schema_keys(schema, i, &store->record, store->keys.keys[i]);
		key_cnt += store->keys.cnts[i];
	}
	store->keys.cnts[schema->column_cnt] = 1;
	store->keys.keys[schema->column_cnt][0] = offers_level_of(
		store, &(struct offer_judged){.is_own = entry->record.is_own,
					      .is_seed_form = !entry->announce.is_full_cover,
					      .service = entry->announce.service,
					      .provider = entry->announce.provider});
	return key_cnt + 1;
}
