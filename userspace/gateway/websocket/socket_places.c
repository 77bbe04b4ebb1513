/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_places.h"

#include <string.h>

static struct fair_config config_of(uint32_t cap)
{
	return (struct fair_config){
		.name = "gateway.sockets",
		.kind = FAIR_LASTING,
		.cap_cnt = cap,
		.level_cnt = FAIR_PEER_LEVELS,
	};
}

size_t gateway_socket_places_footprint(uint32_t cap)
{
	const struct fair_config config = config_of(cap);

	return cap ? fair_footprint(&config) : 0;
}

int gateway_socket_places_init(struct socket_places *places, struct arena *arena, uint32_t cap,
			       const struct fair_paths *paths)
{
	const struct fair_config config = config_of(cap);

	places->paths = *paths;
	places->fair.config = config;
	return cap ? fair_init(&places->fair, arena, &config, paths->secret) : 0;
}

bool gateway_socket_places_take(struct socket_places *places, const struct fair_path *client,
				const char *site, struct fair_item *item, uint64_t now_ns,
				struct fair_item **out_victim)
{
	struct fair_path path = *client;
	enum fair_verdict verdict = FAIR_BUSY;

	/* All have the token or a pass, so there is one class. */
	path.class = FAIR_UNKNOWN;
	fair_path_add(&places->paths, &path, site, strlen(site));
	*out_victim = NULL;
	if (places->fair.config.cap_cnt)
		verdict = fair_take(&places->fair, &path, item, now_ns, out_victim);
	if (verdict != FAIR_TAKEN_FROM)
		*out_victim = NULL;
	return verdict != FAIR_BUSY;
}

void gateway_socket_places_release(struct socket_places *places, struct fair_item *item,
				   uint64_t now_ns)
{
	if (places->fair.config.cap_cnt)
		fair_release(&places->fair, item, now_ns);
}
