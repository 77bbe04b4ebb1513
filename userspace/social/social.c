/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the social layer, opened from below. */
#include "social/social.h"

#include <errno.h>
#include <stdlib.h>

#include "social/social_state.h"

void social_config_defaults(struct social_config *config)
{
	*config = (struct social_config){.is_on = true};
}

/* --- what the parts ask each other --- */

static enum social_tier on_tier(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return SOCIAL_TIER_NONE;
}

static int routes_open(struct social *social, uint64_t now_ns)
{
	const struct social_routes_params params = {
		.ground = &social->ground, .tier_of = on_tier, .ctx = social, .now_ns = now_ns};

	return social_routes_open(&params, &social->routes);
}

/* --- life --- */

int social_open(const struct social_params *params, struct social **out_social)
{
	struct social *social = calloc(1, sizeof(*social));
	int err;

	if (!social)
		return -ENOMEM;
	social->config = params->config;
	social->ground = params->ground;
	if ((err = routes_open(social, params->now_ns)) < 0) {
		social_close(social);
		return err;
	}
	*out_social = social;
	return 0;
}

void social_stop(struct social *social)
{
	if (!social || social->is_stopped)
		return;
	social->is_stopped = true;
	social_routes_stop(social->routes);
}

void social_close(struct social *social)
{
	if (!social)
		return;
	social_stop(social);
	social_routes_close(social->routes);
	free(social);
}

bool social_is_unsought(const struct social *social, const uint8_t key[static MESH_KEY_LEN])
{
	return social && social_route_is_kept(social->routes, key);
}

struct social_routes *social_routes_of(const struct social *social)
{
	return social->routes;
}

void social_session_up(struct social *social, const uint8_t key[static MESH_KEY_LEN],
		       uint64_t now_ns)
{
	if (!social)
		return;
	social_routes_session_up(social->routes, key, now_ns);
}
