/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DAEMON_MEMORY_PLAN_H
#define WEFT_API_DAEMON_MEMORY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

struct node_config;

/*
 * api_memory_plan lists what the configuration may take at worst, table by
 * table, for `weftd --plan` and ShowMemory. Pages are touched as they are
 * used, so an idle node holds far less.
 * Returns how many regions it wrote, at most MEMORY_REGION_CAP.
 */
#define MEMORY_REGION_CAP 40

/* Which counter says what of a region is used, if one does. */
enum memory_use { MEMORY_UNTOLD, MEMORY_QUIC_HEAP, MEMORY_WORKER_STREAMS };

struct memory_region {
	const char *name;
	uint64_t len; /* bytes at worst */
	enum memory_use use;
};

unsigned api_memory_plan(const struct node_config *config,
			 struct memory_region out_regions[MEMORY_REGION_CAP]);

#endif
