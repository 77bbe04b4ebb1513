/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_PROVEN_H
#define WEFT_DHT_PROVEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct arena;

/*
 * Addresses that are where they say, because somebody there answered a
 * query of ours or showed a write token, for ten minutes since. The others
 * may be forged, and get answers of limited size (answer.c).
 *
 * A cache, without regard for ports: who is forgotten for another's sake
 * proves itself again.
 */
struct dht_proven;

#define DHT_PROVEN_NS (600 * 1000000000ull)

size_t dht_proven_footprint(void);
WEFT_MUST_CHECK
int dht_proven_new(struct arena *arena, const uint64_t secret[2], struct dht_proven **out_proven);
void dht_proven_add(struct dht_proven *proven, const struct addr *addr, uint64_t now_ns);
bool dht_proven_has(const struct dht_proven *proven, const struct addr *addr, uint64_t now_ns);

#endif
