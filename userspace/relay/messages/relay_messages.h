/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_MESSAGES_RELAY_MESSAGES_H
#define WEFT_RELAY_MESSAGES_RELAY_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/figure.h"
#include "mesh/seam.h"

struct random;

/*
 * How many messages a relay takes. A peer of contribution s has 10 + 40 s / (s + 10) messages a
 * second, and the messages of two seconds at once. So a new key is never at zero, and no peer has 50.
 * What counts is a request to this relay: for flows, slots and lists. A flow's datagrams never do.
 *
 * Keys are free, so above the peers stands a rate of the relay itself. Each message has a slot for
 * two seconds. It cannot be taken back, so a key has one more only while it holds fewer than are
 * free. Its address may hold three times, its networks seven times as many (base/fair/fair.h). Any
 * peer with a session can fill its part. An honest peer of another network is then asked to wait for a
 * second or two. A peer has a row while it has a slot; after it, its credit is whole again.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_messages;

#define RELAY_MESSAGES_BURST_NS 2000000000ull /* credit that a peer has at most */
#define RELAY_MESSAGES_MIN	64u
#define RELAY_MESSAGES_MAX	20000u

struct relay_messages_config {
	uint32_t per_s; /* in all, RELAY_MESSAGES_MIN to RELAY_MESSAGES_MAX */
};
void relay_messages_config_defaults(struct relay_messages_config *config);
/* relay_messages_footprint: bytes that relay_messages_new lays out, touched as they are used. */
size_t relay_messages_footprint(const struct relay_messages_config *config);

struct relay_messages_params {
	struct relay_messages_config config;
	struct mesh_seam mesh;
	/* The contribution of key, in thousandths of a point. */
	uint32_t (*score)(void *ctx, const uint8_t *key);
	void *ctx;
	struct random *random;
};
/* relay_messages_new: 0, -ENOMEM or WEFT_EFULL. relay_messages_free takes NULL. */
WEFT_MUST_CHECK
int relay_messages_new(const struct relay_messages_params *params,
		       struct relay_messages **out_messages);
void relay_messages_free(struct relay_messages *messages);

/* relay_messages_rate: the rate of a score, in thousandths of a message a second. */
uint32_t relay_messages_rate(uint32_t score);

/*
 * relay_messages_admit: call, of a relay's message, may be handled. Else it was answered, with when
 * to come back, and is gone. messages may be NULL: this node is no relay, and all may be.
 */
bool relay_messages_admit(struct relay_messages *messages, const struct mesh_call *call,
			  uint64_t now_ns);
/* relay_messages_admit_key: as relay_messages_admit, of a key that has no session and gets no answer. */
bool relay_messages_admit_key(struct relay_messages *messages, const uint8_t *key,
			      const struct fair_path *path, uint64_t now_ns);

struct relay_messages_stats {
#define FIGURE FIGURE_FIELD
#include "relay/messages/relay_messages_counters.def"
};
void relay_messages_stats(const struct relay_messages *messages,
			  struct relay_messages_stats *out_stats);
/* relay_messages_view: slots of the messages of the last two seconds, by the class of their peers. */
void relay_messages_view(struct relay_messages *messages, uint64_t now_ns, struct fair_view *out);

#endif
