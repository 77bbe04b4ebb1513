/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_DRIVER_ANSWERS_H
#define WEFT_LOCATE_DRIVER_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct dht;
struct dht_config;
struct kad_id;
struct weft_krpc_tables;

/*
 * The source of the XDP program's answers to the DHT's questions, kept as
 * the dht is. It has ids, nodes by bucket, the key of write tokens, and
 * which keys may be held. Home worker only.
 */
struct driver_answers;

/* locate_driver_answers_new: of a dht with this config. 0 or -ENOMEM; all memory there will be. */
WEFT_MUST_CHECK
int locate_driver_answers_new(const struct dht_config *config, uint64_t now_ns,
			      struct driver_answers **out_answers);
void locate_driver_answers_free(struct driver_answers *answers);
size_t locate_driver_answers_footprint(void);

/*
 * locate_driver_answers_turn brings tables up to what dht is now; call it about
 * once a second, whenever a device is attached. More often does nothing:
 * what lives in the tables may be read for a while after it was replaced.
 * Tables that are new start with nothing, and questions go to userspace
 * until their first turn. tables NULL: no device is attached.
 */
void locate_driver_answers_turn(struct driver_answers *answers, const struct dht *dht,
				const struct weft_krpc_tables *tables, uint64_t now_ns);
/* locate_driver_answers_stop: the dht ends; questions go to userspace. tables may be NULL. */
void locate_driver_answers_stop(const struct weft_krpc_tables *tables);

/*
 * locate_driver_answers_held: something may be held under key from now on
 * (dht_events). Forgotten after DHT_HELD_NS at the earliest and twice that
 * at the latest. Before the put or announce that brought it is answered.
 */
void locate_driver_answers_held(struct driver_answers *answers, const struct kad_id *key,
				const struct weft_krpc_tables *tables, uint64_t now_ns);

#endif
