/* SPDX-License-Identifier: Apache-2.0 */
#include "process_place.h"

#include "base/assert.h"

static struct fair_config places_config(const struct provider_config *config)
{
	return (struct fair_config){
		.name = "service.processes",
		.cap_cnt = config->process_cap,
		.kind = FAIR_WORK,
		.level_cnt = FAIR_PEER_LEVELS,
	};
}

int provider_process_places_init(struct provider *provider)
{
	const struct fair_config places = places_config(&provider->config);

	return fair_init(&provider->process_places, &provider->arena, &places,
			 provider->paths.secret);
}

/* A network that holds none may have any place that is free. */
static bool network_has_room(struct fair *places, const struct fair_path *path)
{
	uint32_t free_cnt = places->config.cap_cnt - places->held_cnt;
	uint32_t held_cnt = fair_held(places, path, fair_path_network_level(path));

	return held_cnt < FAIR_NETWORK_FACTOR * free_cnt;
}

bool provider_process_place_take(struct provider *provider, const struct service_caller *caller,
				 struct fair_item *place, uint64_t now_ns)
{
	struct fair *places = &provider->process_places;
	struct fair_item *victim = NULL;
	struct fair_path path = caller->path;

	path.class = caller->is_local ? FAIR_CHOSEN : FAIR_UNKNOWN;
	if (places->held_cnt >= places->config.cap_cnt ||
	    (!caller->is_local && !network_has_room(places, &path))) {
		fair_refuse(places, &path, now_ns);
		return false;
	}
	if (fair_take(places, &path, place, now_ns, &victim) != FAIR_TAKEN)
		weft_assert(false); /* One is free. */
	fair_wait_own(places, place, now_ns);
	return true;
}

void provider_process_place_release(struct provider *provider, struct fair_item *place)
{
	fair_release(&provider->process_places, place, provider->process_places.now_ns);
}

void provider_process_places(const struct provider *provider, struct fair_view *out)
{
	fair_read(&provider->process_places, out);
}
