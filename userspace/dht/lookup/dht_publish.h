/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_LOOKUP_DHT_PUBLISH_H
#define WEFT_DHT_LOOKUP_DHT_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/bencode.h"
#include "dht/dht.h"

struct arena;

/*
 * This node's items and announces (dht_put, dht_announce). Each is a lookup that writes at its end,
 * once, or again and again while it is kept. The bytes stay those that were signed, so that the
 * holder of the key need not be there. A round without an answer is made again after a pause that
 * doubles.
 *
 * One target, one item: a put takes the place of an earlier one.
 */
struct dht_owns;

#define DHT_PUT_EVERY_NS (3600 * 1000000000ull) /* BEP-44: holders forget after two hours */

WEFT_MUST_CHECK
int dht_owns_new(struct arena *arena, uint32_t own_cap, struct dht_owns **out_owns);
uint32_t dht_owns_cnt(const struct dht_owns *owns);
/*
 * dht_own_is: handle is one of dht_put or dht_announce. dht_own_cancel: no further rounds.
 * dht_own_leave: no further rounds of one that is not kept; the asker is not called any more.
 */
bool dht_own_is(dht_handle handle);
void dht_own_cancel(struct dht *dht, dht_handle handle);
void dht_own_leave(struct dht *dht, dht_handle handle);

/*
 * dht_owns_write writes the kept ones as a bencoded list. dht_owns_load resumes them, without an
 * asker; with dht NULL it only judges: 0, or WEFT_EMALFORMED.
 */
void dht_owns_write(const struct dht_owns *owns, struct writer *w);
WEFT_MUST_CHECK
int dht_owns_load(struct dht *dht, struct bencode_reader *r, uint64_t now_ns);

#endif
