/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_VALIDATED_ADDRS_H
#define WEFT_DHT_VALIDATED_ADDRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct arena;

/*
 * Validated addresses: a node there answered a query of this node or showed a write token, in the
 * last ten minutes. The others may be forged, and get answers of limited size (dht_answer.c).
 *
 * A cache, without regard for ports: an address that another one pushes out validates itself again.
 */
struct dht_validated;

#define DHT_VALIDATED_NS (600 * 1000000000ull)

WEFT_MUST_CHECK
int dht_validated_new(struct arena *arena, const uint64_t secret[2],
		      struct dht_validated **out_validated);
void dht_validated_add(struct dht_validated *validated, const struct addr *addr, uint64_t now_ns);
bool dht_validated_has(const struct dht_validated *validated, const struct addr *addr,
		       uint64_t now_ns);

#endif
