/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of a node: those that come with weft, those that were added here, those of shares. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "service_offers_state.h"
#include "store/store.h"

static void on_schema(void *ctx, const struct schema *before, const struct schema *after)
{
	struct service_offers *offers = ctx;

	/* The former one goes first: its memory does when this returns. */
	if (before)
		offers_store_remove(offers->store, before);
	if (after)
		offers->change_err = offers_store_add(offers->store, after);
	if (before)
		offers_watches_change(offers, before, after);
	/* What is kept already is indexed from the next turn on. */
	timer_set(offers->params.timers, &offers->timer, offers->params.now_ns);
	offers_roles_changed(offers, offers->params.now_ns);
}

/* It stays in the store, for a version that takes it. */
static void on_refused(void *ctx, const char *name, const struct schema_fault *fault)
{
	(void)ctx;
	log_warn("schema %s is left out: %s %s", name, fault->field, fault->what);
}

int offers_schemas_open(struct service_offers *offers)
{
	int err;

	offers->registry = offers_schema_registry_new(on_schema, offers);
	if (!offers->registry)
		return -ENOMEM;
	err = offers_schema_registry_ship(offers->registry);
	if (err == 0)
		err = offers->change_err;
	if (err == 0)
		err = offers_schema_rows_load(offers->params.store, offers->registry, on_refused,
					      offers);
	if (err == 0)
		err = offers_schema_shares_open(offers->params.store, offers->registry,
						&offers->shares);
	return err;
}

/* Takes batch. */
static int change_submit(struct service_offers *offers, struct store_batch *batch,
			 const struct offer_schema_change *change)
{
	int err = store_submit(offers->params.store, batch, change->done, change->arg);

	if (err < 0)
		store_batch_free(batch);
	return err;
}

int offers_add_schema(struct service_offers *offers, const struct offer_schema_change *change,
		      struct schema_fault *fault)
{
	struct store_batch *batch;
	int err;

	offers->change_err = 0;
	err = offers_schema_registry_add(offers->registry, change->text, change->text_len, fault);
	if (err < 0)
		return err;
	err = offers->change_err;
	if (err == 0) {
		batch = store_batch_new(offers->params.store);
		offers_schema_rows_put(batch, change->name, change->text, change->text_len);
		err = change_submit(offers, batch, change);
	}
	/* One that was there before comes back at the next start. */
	if (err < 0 && offers_schema_registry_remove(offers->registry, change->name) < 0)
		log_warn("schema %s is used until weftd stops", change->name);
	return err;
}

int offers_remove_schema(struct service_offers *offers, const struct offer_schema_change *change)
{
	const struct schema *schema = offers_schema_registry_named(offers->registry, change->name);
	struct store_batch *batch;
	char name[SCHEMA_NAME_CAP];
	int err;

	if (!schema)
		return WEFT_EABSENT;
	/* As the row is named; the schema goes, and letters may be large in a call. */
	snprintf(name, sizeof(name), "%s", schema->name);
	err = offers_schema_registry_remove(offers->registry, name);
	if (err < 0)
		return err;
	batch = store_batch_new(offers->params.store);
	offers_schema_rows_delete(batch, name);
	return change_submit(offers, batch, change);
}

/* The schema that a message is of; of an experiment its payload names it, but in a Reserve. */
static const struct schema *schema_of(const struct service_offers *offers,
				      const struct service_message *message)
{
	struct offer_terms terms = {.schema = NULL};
	struct service_query query = {.schema = NULL};

	if (message->service != OFFERS_CUSTOM_SERVICE)
		return offers_schema_registry_lookup(offers->registry, message->service, NULL, 0);
	if (message->type == SERVICE_MESSAGE_QUERY && offers_query_parse(message, &query) == 0)
		return offers_schema_registry_lookup(offers->registry, message->service,
						     query.schema, query.schema_len);
	if (message->type == SERVICE_MESSAGE_ANNOUNCE && offer_terms_read(message, &terms) == 0)
		return offers_schema_registry_lookup(offers->registry, message->service,
						     terms.schema, terms.schema_len);
	return NULL;
}

uint32_t offers_rate(void *ctx, const struct service_message *message)
{
	const struct service_offers *offers = ctx;
	const struct schema *schema = schema_of(offers, message);

	if (!schema)
		return 0;
	switch (message->type) {
	case SERVICE_MESSAGE_ANNOUNCE:
	case SERVICE_MESSAGE_UPDATE:
	case SERVICE_MESSAGE_REVOKE:
		return schema->announces_per_min;
	case SERVICE_MESSAGE_QUERY:
		return schema->queries_per_min;
	default:
		return schema->reserves_per_min;
	}
}
