/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PORT_MAPPING_MAPPER_STATE_H
#define WEFT_PORT_MAPPING_MAPPER_STATE_H

#include "mapper.h"

/* What mapper.c and mapper_answer.c share. */
static inline bool mapping_is_held(const struct mapping *mapping)
{
	return mapping->external.family != ADDR_NONE;
}

bool port_mapping_mapper_holds(const struct mapper *mapper);
/* mapper_granted: the router forwards external to mapping's port for lifetime_s. */
void port_mapping_mapper_granted(struct mapping *mapping, const struct addr *external,
				 uint32_t lifetime_s, uint64_t now_ns);
/* mapper_failed: this method does not map; why is static. */
void port_mapping_mapper_failed(struct mapping *mapping, const char *why, uint64_t now_ns);
/* mapper_wait: the router may map later; it is asked again by the same method at at_ns. */
void port_mapping_mapper_wait(struct mapping *mapping, const char *why, uint64_t at_ns);
/* mapper_ask_soon asks for all mappings that are held anew, but not at once. */
void port_mapping_mapper_ask_soon(struct mapper *mapper, uint64_t now_ns);
/* mapper_round_soon: nothing is mapped; what is asked for next is asked for at once, or 10 s after the
 * last time. */
void port_mapping_mapper_round_soon(struct mapper *mapper, uint64_t now_ns);
void port_mapping_mapper_ask(struct mapping *mapping, uint64_t now_ns);
/* mapper_released: the router took a mapping back that this node gave back. */
void port_mapping_mapper_released(struct mapping *mapping);

#endif
