/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_BUILTIN_QUOTA_H
#define WEFT_BUILTIN_BUILTIN_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "provider/tenant/tenant.h"

struct random;

/*
 * A bound on actions of a peer that cost more than a call. It allows max times in any period,
 * exactly, by the moments of the last max times. It holds QUOTA_PEER_MAX peers. A new peer takes
 * the place of the one that was idle for longest.
 */
#define QUOTA_PEER_MAX 1024

struct quota {
	struct pool peers; /* struct quota_peer and its moments */
	struct map by_key;
	struct list_node by_use; /* least recently first */
	uint64_t period_ns;
	unsigned max;
};

WEFT_MUST_CHECK
int builtin_quota_init(struct quota *quota, struct arena *arena, unsigned max, uint64_t period_ns,
		       struct random *random);
/* builtin_quota_take counts one more of key. False: that would be too many, and is not counted. */
WEFT_MUST_CHECK
bool builtin_quota_take(struct quota *quota, const uint8_t key[MESH_KEY_LEN], uint64_t now_ns);

#endif
