/* SPDX-License-Identifier: Apache-2.0 */
#include "social/ground/social_ground.h"

#include <string.h>

#include "base/fair/request_quota.h"

void social_payer(const struct social_ground *ground, const uint8_t *key, struct addr *out_addr,
		  enum fair_class *out_class)
{
	struct mesh_path path = {.remote.family = ADDR_NONE};

	*out_class = key && ground->class_of ? ground->class_of(ground->ctx, key) : FAIR_UNKNOWN;
	if (key && ground->neighbours)
		(void)ground->neighbours->path(ground->mesh.mesh, key, &path);
	*out_addr = path.remote;
	if (out_addr->family == ADDR_NONE)
		out_addr->family = ADDR_IPV6;
}

uint64_t social_network_wait_ms(const struct social_ground *ground, struct request_quota *quota,
				const uint8_t key[static MESH_KEY_LEN],
				const struct fair_path *path, uint64_t now_ns)
{
	uint8_t network[REQUEST_QUOTA_KEY_LEN] = {0};
	uint64_t id = path->level_cnt ? fair_path_network(path) : 0;

	if (ground->class_of(ground->ctx, key) == FAIR_CHOSEN)
		return 0;
	memcpy(network, &id, sizeof(id));
	return request_quota_take(quota, network, now_ns);
}
