/* SPDX-License-Identifier: Apache-2.0 */
#include "service_offers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "service_offers_state.h"

#define AGAIN_NS (60 * NS_PER_S)
#define MIB	 (1ull << 20)

void offers_config_defaults(struct service_offers_config *config)
{
	*config = (struct service_offers_config){.is_on = true, .room_len = 128 * MIB};
	offers_spread_config_defaults(&config->spread);
}

void offers_due(struct service_offers *offers, uint64_t now_ns)
{
	timer_set(offers->params.timers, &offers->timer,
		  offers_store_next_ns(offers->store, offers->params.wall_s(offers->params.ctx),
				       now_ns));
	if (!timer_is_set(&offers->again_timer))
		timer_set(offers->params.timers, &offers->again_timer, now_ns + AGAIN_NS);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct service_offers *offers = container_of(timer, struct service_offers, timer);

	(void)offers_store_expire(offers->store, offers->params.wall_s(offers->params.ctx), now_ns);
	offers_due(offers, now_ns);
}

static void on_again_due(struct timer *timer, uint64_t now_ns)
{
	struct service_offers *offers = container_of(timer, struct service_offers, again_timer);

	offers_say_again(offers, NULL, now_ns);
	offers_endorsements_say_again(offers, NULL, now_ns);
	offers_roles_changed(offers, now_ns);
	offers_due(offers, now_ns);
}

size_t offers_footprint(const struct service_offers_config *config)
{
	return sizeof(struct service_offers) +
	       offers_store_footprint((uint32_t)(config->room_len / OFFER_UNIT_LEN)) +
	       offers_endorse_footprint((uint32_t)(config->room_len / OFFERS_ROOM_AN_ENDORSEMENT)) +
	       (config->has_legacy_fapp ? offers_legacy_footprint() : 0) +
	       offers_relays_footprint() + offers_reservations_footprint() +
	       offers_spread_footprint(&config->spread);
}

/* What is on the disk, and what looks at it. */
static int kept_open(struct service_offers *offers, const struct offer_store_params *store)
{
	const struct service_offers_params *params = &offers->params;
	int err = offers_watches_open(offers);

	if (err == 0)
		err = offers_verify_open(offers);
	if (err == 0)
		err = offers_store_open(store, &offers->store);
	if (err == 0)
		err = offers_schemas_open(offers);
	if (err == 0)
		err = offers_store_load(offers->store, params->wall_s(params->ctx), params->now_ns);
	return err < 0 ? err : offers_reservations_start(offers);
}

int offers_open(const struct service_offers_params *params, struct service_offers **out_offers)
{
	struct service_offers *offers = calloc(1, sizeof(*offers));
	const struct offer_store_params store = {
		.store = params->store,
		.random = params->random,
		.site = params->site,
		.unit_cap = (uint32_t)(params->config.room_len / OFFER_UNIT_LEN),
		.level_of = offers_level,
		.wants_lifted = offers_is_watched,
		.lifted = offers_lifted,
		.ctx = offers,
	};
	struct spread_params spread = {
		.config = params->config.spread,
		.handler = {.keep = offers_keep,
			    .is_kept = offers_is_kept,
			    .answer = offers_answer,
			    .hear = offers_hear,
			    .endorse = offers_endorsement_keep,
			    .rank = offers_rank,
			    .rate = offers_rate,
			    .reserve = offers_reserve_heard,
			    .strand = offers_strand,
			    .stock = &offers_stock,
			    .ctx = offers},
		.mesh = params->mesh,
		.neighbours = params->neighbours,
		.store = params->store,
		.timers = params->timers,
		.random = params->random,
		.wall_s = params->wall_s,
		.ctx = params->ctx,
		.now_ns = params->now_ns,
	};
	int err;

	if (!offers)
		return -ENOMEM;
	offers->params = *params;
	offers_address(node_key_public(params->key), offers->address);
	memcpy(spread.address, offers->address, sizeof(spread.address));
	timer_init(&offers->timer, on_due);
	timer_init(&offers->again_timer, on_again_due);
	timer_init(&offers->level_timer, offers_verify_expire);
	err = kept_open(offers, &store);
	if (err == 0)
		err = offers_spread_new(&spread, &offers->spread);
	if (err == 0)
		err = offers_roles_open(offers);
	if (err == 0)
		err = offers_legacy_open(offers);
	if (err < 0) {
		offers_close(offers);
		return err;
	}
	params->neighbours->announce(params->mesh.mesh, MESH_CAP_SERVICE_RELAY, true);
	offers_due(offers, params->now_ns);
	offers_verify_due(offers, params->now_ns);
	*out_offers = offers;
	return 0;
}

void offers_close(struct service_offers *offers)
{
	if (!offers)
		return;
	timer_cancel(offers->params.timers, &offers->timer);
	timer_cancel(offers->params.timers, &offers->again_timer);
	timer_cancel(offers->params.timers, &offers->level_timer);
	offers_relays_free(offers->relays);
	offers_legacy_close(offers);
	offers_watches_close(offers);
	offers_spread_free(offers->spread);
	offers_reservations_close(offers->reservations);
	offers_store_close(offers->store);
	offers_endorse_close(offers->book);
	offers_schema_shares_close(offers->shares);
	offers_schema_registry_free(offers->registry);
	free(offers);
}

void offers_session_up(struct service_offers *offers, const uint8_t key[static MESH_KEY_LEN],
		       uint64_t now_ns)
{
	if (!offers)
		return;
	offers_spread_meet(offers->spread, key, now_ns);
	offers_relays_session_up(offers->relays, key, now_ns);
	offers_spread_tell(offers->spread, key, now_ns);
	offers_say_again(offers, key, now_ns);
	offers_endorsements_say_again(offers, key, now_ns);
	offers_reservations_session_up(offers->reservations, key, now_ns);
}

struct offer_store *offers_store(struct service_offers *offers)
{
	return offers->store;
}

struct offer_spread *offers_spread(struct service_offers *offers)
{
	return offers->spread;
}

struct reservations *offers_reservations(struct service_offers *offers)
{
	return offers->reservations;
}

struct schema_shares *offers_schema_shares(struct service_offers *offers)
{
	return offers->shares;
}

struct schema_registry *offers_registry(struct service_offers *offers)
{
	return offers->registry;
}
