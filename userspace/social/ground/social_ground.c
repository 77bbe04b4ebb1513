/* SPDX-License-Identifier: Apache-2.0 */
#include "social/ground/social_ground.h"

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
