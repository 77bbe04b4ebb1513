/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_SAVE_H
#define WEFT_DHT_SAVE_H

#include <stdbool.h>
#include <stdint.h>

struct dht;

/*
 * Decides when the state for a warm start (dht_save) is worth writing. It is written at once
 * when what is kept has changed, and every DHT_SAVE_EVERY_NS while nodes come and go.
 */
#define DHT_SAVE_EVERY_NS (600 * 1000000000ull)

struct dht_saving {
	uint64_t generation; /* of the tables when it was last asked for */
	uint64_t asked_ns;
	bool wants_now;
};

/* dht_save_note: what is kept has changed; the next expire reports it. */
void dht_save_note(struct dht *dht);
void dht_save_expire(struct dht *dht, uint64_t now_ns);

#endif
