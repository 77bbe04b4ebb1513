/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_WEB_WEB_H
#define WEFT_RELAY_WEB_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_channel.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "weft/err.h"

struct load;
struct random;

/*
 * A relay over WebSocket, for clients whose network lets no UDP through (docs/wire/relay_web.md).
 * Datagrams go from key to key, and nothing of them outlives the connection. Channels of TLS come
 * in (base/byte_channel.h); time is an argument. Home.
 *
 * Any peer can fill two things. Connections are shared by network, address and key. A peer that
 * has not proved a key has 10 s, and all such peers of an address share as one key. Memory of
 * frames that wait is shared in the same way: frames that come count for their sender, frames that
 * wait for their receiver. When it is full, the receiver that holds most loses its oldest frame.
 * An honest peer within its share notices neither.
 */
struct relay_web;

#define RELAY_WEB_QUEUE_MAX	 512	    /* frames that wait for one client */
#define RELAY_WEB_PACKET_MAX	 65536u	    /* bytes of the datagrams of one frame */
#define RELAY_WEB_MESSAGE_MAX	 (1u << 20) /* of WebSocket; a longer one ends the connection */
#define RELAY_WEB_HEAD_LEN_MAX	 4096	    /* of the request for the upgrade */
#define RELAY_WEB_PROVE_NS	 10000000000ull
#define RELAY_WEB_PING_NS	 15000000000ull /* of silence; twice as much ends the connection */
#define RELAY_WEB_WRITE_NS	 2000000000ull	/* in which what was written has to be taken */
#define RELAY_WEB_RESTART_MIN_MS 100
#define RELAY_WEB_RESTART_MAX_MS 2000
#define RELAY_WEB_TRY_FOR_MS	 30000

struct relay_web_config {
	bool is_on;
	uint32_t client_cap;
	size_t memory_cap;   /* bytes of frames that wait */
	uint64_t rate_per_s; /* bytes a second from one address (IPv6: /64); 0: no limit */
	uint64_t burst_len;
};
void relay_web_config_defaults(struct relay_web_config *config);
size_t relay_web_footprint(const struct relay_web_config *config);

/* A datagram between a client and a key that has a session with this relay. Borrowed. */
#define RELAY_WEB_DGRAM_MAX 1500
struct relay_web_dgram {
	const uint8_t *client, *peer;
	const uint8_t *data;
	size_t len; /* up to RELAY_WEB_DGRAM_MAX */
	uint8_t ecn;
};

struct relay_web_params {
	struct relay_web_config config;
	const uint8_t *own_key;	      /* of the relay, 32 bytes */
	const struct fair_site *site; /* NULL: none */
	struct random *random;
	struct load *load; /* NULL: nothing is counted */
	/* The class of a proved key. NULL: unknown. */
	enum fair_class (*key_class)(void *ctx, const uint8_t *key);
	/* A ban keeps key (NULL: none is proved) or remote out. NULL: there are no bans. */
	bool (*refuses)(void *ctx, const uint8_t *key, const struct addr *remote);
	/*
	 * A datagram to a key that no client has. 0: it is on its way, or dropped; WEFT_EABSENT: this
	 * relay cannot reach peer either. NULL: it reaches clients alone.
	 */
	int (*send)(void *ctx, const struct relay_web_dgram *dgram);
	void *ctx;
	uint64_t now_ns;
};

struct relay_web_stats {
#define FIGURE FIGURE_FIELD
#include "relay/web/relay_web_counters.def"
};

/* relay_web_new: 0, -ENOMEM or WEFT_EFULL. relay_web_free ends connections without a word; takes NULL. */
WEFT_MUST_CHECK
int relay_web_new(const struct relay_web_params *params, struct relay_web **out_web);
void relay_web_free(struct relay_web *web);
/* relay_web_events: what a carrier calls; ctx of opened is the struct relay_web. */
extern const struct byte_channel_events relay_web_events;

/* relay_web_client: whether key has a client, and where it is. */
bool relay_web_client(const struct relay_web *web, const uint8_t *key, struct addr *out_remote);
/* relay_web_deliver gives the client a datagram of peer, or drops and counts it. */
void relay_web_deliver(struct relay_web *web, const struct relay_web_dgram *dgram, uint64_t now_ns);
/* relay_web_gone tells the client that peer is not reached; an absent client is left alone. */
void relay_web_gone(struct relay_web *web, const uint8_t *client, const uint8_t *peer);

/* relay_web_flush writes what waits. relay_web_expire: timers, at relay_web_next_ns. */
void relay_web_flush(struct relay_web *web, uint64_t now_ns);
void relay_web_expire(struct relay_web *web, uint64_t now_ns);
uint64_t relay_web_next_ns(const struct relay_web *web);
/* relay_web_restart tells every client to come back later, and ends all connections. */
void relay_web_restart(struct relay_web *web, uint64_t now_ns);
/*
 * relay_web_expel ends every connection that params->refuses says no to by now, without a word: the
 * driver may drop what it would say. Frames that wait for its key go with it. Returns how many.
 */
unsigned relay_web_expel(struct relay_web *web, uint64_t now_ns);

void relay_web_read_stats(const struct relay_web *web, struct relay_web_stats *out_stats);
/* relay_web_places: shares of connections. relay_web_blocks: of memory, in blocks of 2 KiB. */
void relay_web_places(const struct relay_web *web, struct fair_view *out);
void relay_web_blocks(const struct relay_web *web, struct fair_view *out);

#endif
