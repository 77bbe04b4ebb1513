/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_WEB_PAIR_H
#define WEFT_TESTS_WEB_PAIR_H

#include "base/monotonic.h"
#include "support/check.h"
#include "support/relay_web_rig.h"

/* A relay over WebSocket, and clients of other networks with a key each. */

#define V1 RELAY_WEB_IROH_V1
#define V2 RELAY_WEB_IROH_V2

static struct node_key *keys[4]; /* made once */
#define PK(i) node_key_public(keys[i])

/* Makes the keys; the main of a test calls it first, and keys_fini last. */
static inline void keys_init(void)
{
	for (uint8_t i = 0; i < 4; i++)
		keys[i] = web_key((uint8_t)(i + 1));
}

static inline void keys_fini(void)
{
	for (unsigned i = 0; i < 4; i++)
		node_key_free(keys[i]);
}

static inline struct relay_web_stats stats_of(const struct web_rig *rig)
{
	struct relay_web_stats stats;

	relay_web_read_stats(rig->web, &stats);
	return stats;
}

static inline struct relay_web_frame send_to(unsigned key, const void *data, size_t len)
{
	return (struct relay_web_frame){
		.type = RELAY_WEB_SEND, .key = PK(key), .ecn = 2, .data = data, .len = len};
}

static inline bool hears_packet(struct web_client *client, unsigned from, const void *data,
				size_t len)
{
	struct relay_web_frame frame;

	return web_client_hear_frame(client, V2, &frame) && frame.type == RELAY_WEB_RECV &&
	       memcmp(frame.key, PK(from), RELAY_WEB_KEY_LEN) == 0 && frame.ecn == 2 &&
	       frame.len == len && memcmp(frame.data, data, len) == 0;
}

static inline bool hears_status(struct web_client *client, unsigned status)
{
	struct relay_web_frame frame;

	return web_client_hear_frame(client, V2, &frame) && frame.type == RELAY_WEB_STATUS &&
	       frame.status == status;
}

/* Two clients of other networks. */
static inline bool pair_init(struct web_rig *rig, const struct relay_web_config *config,
			     struct web_client *a, struct web_client *b)
{
	web_rig_init(rig, config);
	return web_client_join(a, rig, "192.0.2.1:5000", keys[0]) &&
	       web_client_join(b, rig, "198.51.100.1:5000", keys[1]);
}

static inline void pair_fini(struct web_rig *rig, struct web_client *a, struct web_client *b)
{
	web_rig_fini(rig);
	web_client_fini(a);
	web_client_fini(b);
}

#endif
