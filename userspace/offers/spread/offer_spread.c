/* SPDX-License-Identifier: Apache-2.0 */
#include "offer_spread.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "spread_state.h"
#include "weft/bytes.h"

static const struct fair_config token_pool = {
	.name = "tokens of queries",
	.idle_ns = SPREAD_TOKEN_LIFE_NS,
	.busy_ns = SPREAD_TOKEN_LIFE_NS,
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

void offers_spread_config_defaults(struct spread_config *config)
{
	*config = (struct spread_config){
		.hops_max = 4,
		.fan_out = 8,
		.token_cap = 4096,
		.send_cap = 1024,
		.announces_per_min = 10,
		.relayed_per_min = 600,
		.queries_per_min = 30,
		.reserves_per_min = 5,
		.route_cap = 8192,
	};
}

static const struct fair_config route_pool = {
	.name = "ways to providers",
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

/* One more than shares: a route is made before the one that it evicts has gone. */
static int routes_lay_out(struct offer_spread *spread, const uint64_t secret[2])
{
	struct arena *arena = &spread->arena;
	struct fair_config pool = route_pool;
	int err;

	pool.cap_cnt = spread->params.config.route_cap;
	if ((err = fair_places_init(&spread->route_places, arena, &pool)) < 0 ||
	    (err = pool_init(&spread->routes, arena, sizeof(struct spread_route),
			     pool.cap_cnt + 1)) < 0)
		return err;
	return map_init(&spread->by_address, arena, SERVICE_MESSAGE_ADDRESS_LEN, pool.cap_cnt + 1,
			secret);
}

static int spread_lay_out(struct offer_spread *spread, struct random *random)
{
	const struct spread_config *config = &spread->params.config;
	struct fair_config pool = token_pool;
	struct arena *arena = &spread->arena;
	uint64_t secret[2];
	int err = arena_open(arena, ARENA_GROWS);

	if (err < 0)
		return err;
	pool.cap_cnt = config->token_cap;
	random_fill(random, secret, sizeof(secret));
	list_init(&spread->others);
	list_init(&spread->own);
	/* One more than shares: a token is made before the one that it evicts has gone. */
	if ((err = fair_places_init(&spread->places, arena, &pool)) < 0 ||
	    (err = pool_init(&spread->tokens, arena, sizeof(struct spread_token),
			     config->token_cap + 1)) < 0 ||
	    (err = pool_init(&spread->own_tokens, arena, sizeof(struct spread_token),
			     SPREAD_OWN_TOKENS)) < 0 ||
	    (err = pool_init(&spread->sends, arena, sizeof(struct spread_send), config->send_cap)) <
		    0 ||
	    (err = pool_init(&spread->peers, arena, sizeof(struct spread_peer), config->send_cap)) <
		    0 ||
	    (err = map_init(&spread->by_token, arena, SPREAD_ASKED_LEN,
			    config->token_cap + 1 + SPREAD_OWN_TOKENS, secret)) < 0 ||
	    (err = map_init(&spread->by_peer, arena, MESH_KEY_LEN, config->send_cap, secret)) < 0 ||
	    (err = routes_lay_out(spread, secret)) < 0 ||
	    (err = offers_spread_waits_init(spread, secret)) < 0 ||
	    (err = offers_spread_exchange_init(spread, secret)) < 0 ||
	    (err = offers_spread_rates_init(spread, secret)) < 0)
		return err;
	arena_fit(arena);
	return 0;
}

size_t offers_spread_footprint(const struct spread_config *config)
{
	struct offer_spread spread = {.params.config = *config};
	struct random random;
	size_t len = 0;

	random_init_seeded(&random, 1);
	if (spread_lay_out(&spread, &random) == 0)
		len = sizeof(spread) + spread.arena.used_len;
	arena_close(&spread.arena);
	return len;
}

int offers_spread_new(const struct spread_params *params, struct offer_spread **out_spread)
{
	struct offer_spread *spread = calloc(1, sizeof(*spread));
	int err;

	if (!spread)
		return -ENOMEM;
	spread->params = *params;
	offers_spread_keep_init(spread);
	err = spread_lay_out(spread, params->random);
	if (err == 0)
		err = params->mesh.ops->handle(params->mesh.mesh, MESH_SERVICE_MESSAGE,
					       offers_spread_handle, spread);
	if (err == 0)
		err = params->mesh.ops->handle(params->mesh.mesh, MESH_ENDORSE,
					       offers_spread_handle_endorsement, spread);
	if (err == 0)
		err = offers_spread_keep_load(spread);
	if (err == 0 && params->handler.stock)
		err = params->mesh.ops->handle(params->mesh.mesh, MESH_OFFERS_KEPT,
					       offers_spread_handle_kept, spread);
	if (err < 0) {
		offers_spread_free(spread);
		return err;
	}
	*out_spread = spread;
	return 0;
}

void offers_spread_free(struct offer_spread *spread)
{
	if (!spread)
		return;
	offers_spread_exchange_stop(spread);
	offers_spread_out_stop(spread);
	offers_spread_waits_stop(spread);
	offers_spread_keep_stop(spread);
	arena_close(&spread->arena);
	free(spread);
}

unsigned offers_spread_announce(struct offer_spread *spread, const uint8_t *bytes, size_t len,
				uint64_t now_ns)
{
	const struct spread_flood flood = {
		.bytes = bytes, .len = len, .hop_cnt = bytes[SERVICE_MESSAGE_HOP_AT]};

	offers_spread_changed(spread, now_ns);
	return offers_spread_forward(spread, &flood, now_ns);
}

unsigned offers_spread_send(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			    const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	const struct spread_flood flood = {
		.bytes = bytes, .len = len, .hop_cnt = bytes[SERVICE_MESSAGE_HOP_AT]};

	if (offers_spread_rank(spread, weft_load_le32(bytes), key) == SPREAD_RANK_NEVER)
		return 0;
	return offers_spread_send_to(spread, key, &flood, now_ns);
}

void offers_spread_stats(const struct offer_spread *spread, struct spread_stats *out_stats)
{
	*out_stats = spread->stats;
	out_stats->send_cnt = spread->sends.used_cnt;
	out_stats->route_cnt = spread->routes.used_cnt;
	out_stats->wait_cnt = spread->waits.used_cnt;
	out_stats->token_cnt = spread->tokens.used_cnt + spread->own_tokens.used_cnt;
}

void offers_spread_view(const struct offer_spread *spread, struct fair_view *out)
{
	fair_read(&spread->places.fair, out);
}
