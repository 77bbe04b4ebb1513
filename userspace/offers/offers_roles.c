/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node says of its services to its neighbours, and which of them get its messages first.
 * It relays each service whose schema it has, or of these the ones that offers.services names. Of
 * services without a schema it sends offers on as well, if offers.services names none, but cannot
 * answer for them.
 */
#include <string.h>
#include <strings.h>

#include "crypto/node_key.h"
#include "service_offers_state.h"

struct rows {
	struct service_caps_row *rows;
	unsigned cnt;
};

static struct service_caps_row *row_find(const struct rows *rows, uint32_t service)
{
	for (unsigned i = 0; i < rows->cnt; i++)
		if (rows->rows[i].service == service)
			return &rows->rows[i];
	return NULL;
}

bool offers_relays_service(const struct service_offers *offers, const struct schema *schema)
{
	const char *at = offers->params.config.services;
	size_t len;

	if (!*at)
		return true;
	for (; schema && *(at += strspn(at, " ")); at += len) {
		len = strcspn(at, " ");
		if (strlen(schema->name) == len && strncasecmp(schema->name, at, len) == 0)
			return true;
	}
	return false;
}

/* By ascending services. Those that share an id, each with a schema of its own, are one. */
static void row_add(struct rows *rows, const struct schema *schema, uint8_t roles)
{
	struct service_caps_row *row = row_find(rows, schema->id);
	unsigned at = rows->cnt;

	if (row)
		row->roles |= roles;
	if (row || rows->cnt == SERVICE_CAPS_ROWS_MAX)
		return;
	for (; at > 0 && rows->rows[at - 1].service > schema->id; at--)
		rows->rows[at] = rows->rows[at - 1];
	rows->rows[at] = (struct service_caps_row){
		.service = schema->id, .roles = roles, .version = schema->version};
	rows->cnt++;
}

static bool on_own(void *arg, const struct offer_name *name, bool is_withdrawn)
{
	struct service_caps_row *row = row_find(arg, name->service);

	if (row && !is_withdrawn)
		row->roles |= SERVICE_ROLE_PROVIDER;
	return true;
}

/* A service without a role is not named. */
static void rows_pack(struct rows *rows)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < rows->cnt; i++)
		if (rows->rows[i].roles)
			rows->rows[cnt++] = rows->rows[i];
	rows->cnt = cnt;
}

static unsigned on_rows(void *ctx, struct service_caps_row out[static SERVICE_CAPS_ROWS_MAX])
{
	const struct service_offers *offers = ctx;
	struct rows rows = {.rows = out};
	struct offer_store_counts counts;
	struct schema_entry entry;

	for (unsigned i = 0; offers_schema_registry_at(offers->registry, i, &entry); i++)
		row_add(&rows, entry.schema,
			offers_relays_service(offers, entry.schema) ? SERVICE_ROLE_RELAY : 0);
	offers_store_count(offers->store, &counts);
	if (counts.own_cnt)
		offers_store_words(offers->store, on_own, &rows);
	rows_pack(&rows);
	return rows.cnt;
}

static uint64_t on_wall_s(void *ctx)
{
	const struct service_offers *offers = ctx;

	return offers->params.wall_s(offers->params.ctx);
}

int offers_roles_open(struct service_offers *offers)
{
	const struct service_relays_params params = {
		.key = offers->params.key,
		.mesh = offers->params.mesh,
		.neighbours = offers->params.neighbours,
		.timers = offers->params.timers,
		.random = offers->params.random,
		.wall_s = on_wall_s,
		.rows = on_rows,
		.ctx = offers,
		.now_ns = offers->params.now_ns,
	};

	return offers_relays_new(&params, &offers->relays);
}

void offers_roles_changed(struct service_offers *offers, uint64_t now_ns)
{
	if (offers->relays)
		offers_relays_changed(offers->relays, now_ns);
}

struct service_relays *offers_service_relays(struct service_offers *offers)
{
	return offers->relays;
}

static bool is_endorsed(const struct service_offers *offers, uint32_t service, const uint8_t *peer)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(peer, address);
	return offers_endorse_level(offers->book, service, address) > 0;
}

enum spread_rank offers_rank(void *ctx, uint32_t service, const uint8_t *peer)
{
	const struct service_offers *offers = ctx;

	if (offers->params.config.relays_use == OFFERS_RELAYS_ENDORSED &&
	    !is_endorsed(offers, service, peer))
		return SPREAD_RANK_NEVER;
	if (!offers->relays)
		return SPREAD_RANK_USUAL;
	switch (offers_relays_of(offers->relays, peer, service)) {
	case RELAYS_YES:
		return SPREAD_RANK_FIRST;
	case RELAYS_NO:
		return SPREAD_RANK_LAST;
	default:
		return SPREAD_RANK_USUAL;
	}
}
