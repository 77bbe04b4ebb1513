/* SPDX-License-Identifier: Apache-2.0 */
#include "askers.h"

#include <string.h>

#include "base/memory/arena.h"

static struct fair_config fair_config_of(const struct service_limits *limits)
{
	return (struct fair_config){
		.name = "service.pending",
		.kind = FAIR_WORK,
		.cap_cnt = (uint32_t)limits->out_pending_cnt,
		.level_cnt = SERVICE_ASKER_LEVELS,
	};
}

int service_askers_init(struct service_askers *askers, struct arena *arena,
			const struct service_limits *limits, const uint64_t secret[2])
{
	const struct fair_config config = fair_config_of(limits);

	memcpy(askers->paths.secret, secret, sizeof(askers->paths.secret));
	return fair_init(&askers->fair, arena, &config, secret);
}

/* One class for all: a call cannot be taken back, so no class has a part of its own. */
struct fair_path service_asker_path(const struct service_askers *askers,
				    const struct service_asker *asker)
{
	struct fair_path path;

	fair_path_start(FAIR_UNKNOWN, &path);
	fair_path_add(&askers->paths, &path, &asker->is_program, sizeof(asker->is_program));
	fair_path_add(&askers->paths, &path, &asker->user, sizeof(asker->user));
	fair_path_add(&askers->paths, &path, &asker->program, sizeof(asker->program));
	return path;
}

struct turns_path service_asker_turn(const struct fair_path *path)
{
	return (struct turns_path){.ids = {path->ids[1], path->ids[2]}, .weight = 1};
}

bool service_askers_may_take(struct service_askers *askers, const struct fair_path *path,
			     uint64_t cap, uint64_t now_ns)
{
	uint32_t held_cnt = askers->fair.held_cnt;

	if (fair_may_hold(&askers->fair, path, held_cnt < cap ? (uint32_t)cap - held_cnt : 0))
		return true;
	fair_refuse(&askers->fair, path, now_ns);
	askers->wait_ms = fair_not_before_ms(&askers->fair, path, now_ns);
	return false;
}
