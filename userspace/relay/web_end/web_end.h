/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_WEB_END_WEB_END_H
#define WEFT_RELAY_WEB_END_WEB_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_channel.h"
#include "base/figure.h"
#include "relay/web/web_frame.h"
#include "weft/err.h"

struct node_key;
struct random;

/*
 * This node as a client of relays over WebSocket (docs/wire/relay_web.md), for networks that let no
 * UDP through. Each relay has one connection of TLS (base/byte_channel.h). This node proves its key
 * there, sends datagrams to other keys, and gets theirs. Time is an argument. Home.
 *
 * The relays are those of the configuration, and those that are kept and reached by nothing else
 * (relay_web_end_use). This node alone fills the queue of a relay. A full one
 * loses its oldest datagram: the newest has what the peer's QUIC waits for. What a relay sends is
 * given on at once, so nothing of it waits here but one message.
 */
struct relay_web_end;

#define RELAY_WEB_END_MAX	   4 /* relays of the configuration */
#define RELAY_WEB_END_KEPT_MAX	   2 /* and kept ones */
#define RELAY_WEB_END_CAP	   (RELAY_WEB_END_MAX + RELAY_WEB_END_KEPT_MAX)
#define RELAY_WEB_END_TEXT_CAP	   1024
#define RELAY_WEB_END_NAME_CAP	   128
#define RELAY_WEB_END_SAID_CAP	   (RELAY_WEB_TEXT_MAX + 1)
#define RELAY_WEB_END_BLOCKED_NS   5000000000ull /* in which the relay has to take what was written */
#define RELAY_WEB_END_PAUSE_MIN_NS 100000000ull
#define RELAY_WEB_END_PAUSE_MAX_NS 30000000000ull
/* From a refusal of this node's key, or from its newer connection elsewhere, to the next dial. */
#define RELAY_WEB_END_REFUSED_NS 30000000000ull

/* A relay, and how it is known to be the one. */
struct relay_web_place {
	uint8_t key[RELAY_WEB_KEY_LEN];	   /* its own; of a named one, a hash that stands for it */
	char name[RELAY_WEB_END_NAME_CAP]; /* its certificate is of this host; "": it shows key */
	struct addr addr;
	bool is_told; /* by the relay alone, which is not trusted */
};

struct relay_web_end_config {
	char relays[RELAY_WEB_END_TEXT_CAP];  /* KEY@ADDRESS:PORT or NAME@ADDRESS:PORT; "": none */
	char ca_file[RELAY_WEB_END_TEXT_CAP]; /* "": the machine's authorities */
	bool answers_challenges;	      /* of the iroh versions */
};
void relay_web_end_config_defaults(struct relay_web_end_config *config);
size_t relay_web_end_footprint(const struct relay_web_end_config *config);
/*
 * relay_web_end_parse reads config's relays, apart by commas. How many, or WEFT_EMALFORMED,
 * WEFT_EEXISTS (one twice) or WEFT_EFULL.
 */
WEFT_MUST_CHECK
int relay_web_end_parse(const char *text, struct relay_web_place out[static RELAY_WEB_END_MAX]);

/* Borrowed. */
struct relay_web_end_dgram {
	const uint8_t *peer; /* the other key */
	uint8_t *data;	     /* the receiver may change it in place */
	size_t len;	     /* 1 to RELAY_WEB_DGRAM_MAX */
	uint8_t ecn;
};

struct relay_web_end_params {
	struct relay_web_end_config config;
	const struct node_key *key;
	struct random *random;
	/* Begins to connect to place; the channel's user is user. 0, or a negative code. */
	int (*dial)(void *ctx, const struct relay_web_place *place, void *user,
		    struct byte_channel **out_channel);
	/* A ban keeps the relay of place out. NULL: there are no bans. */
	bool (*refuses)(void *ctx, const struct relay_web_place *place);
	/* A datagram of a peer at the relay of key. It ends no connection of this part. */
	void (*input)(void *ctx, const uint8_t *relay, const struct relay_web_end_dgram *dgram,
		      uint64_t now_ns);
	/* The relay says that it does not reach peer. */
	void (*gone)(void *ctx, const uint8_t *relay, const uint8_t *peer, uint64_t now_ns);
	/* Datagrams can be sent to the relay from now on, or cannot any more. */
	void (*changed)(void *ctx, const uint8_t *relay, bool is_up, uint64_t now_ns);
	void *ctx;
	uint64_t now_ns;
};

/* relay_web_end_new: 0, -ENOMEM, WEFT_EFULL, or what relay_web_end_parse says. */
WEFT_MUST_CHECK
int relay_web_end_new(const struct relay_web_end_params *params, struct relay_web_end **out_end);
/* relay_web_end_free ends connections without a word; takes NULL. */
void relay_web_end_free(struct relay_web_end *end);
/* relay_web_end_events: what the carrier of channels calls. */
extern const struct byte_channel_events relay_web_end_events;

/* relay_web_end_want: whether connections to the relays are kept. */
void relay_web_end_want(struct relay_web_end *end, bool is_wanted, uint64_t now_ns);
/* relay_web_end_expel ends every connection that params.refuses says no to by now. How many. */
unsigned relay_web_end_expel(struct relay_web_end *end, uint64_t now_ns);
/*
 * relay_web_end_use: beside those of the configuration there are connections to these relays, the
 * first RELAY_WEB_END_KEPT_MAX. One of an earlier call that is not among them is left with the next
 * turn. May be called in params.changed.
 */
void relay_web_end_use(struct relay_web_end *end, const struct relay_web_place *places,
		       unsigned cnt, uint64_t now_ns);
/* relay_web_end_is_up: datagrams can be sent to the relay of key. */
bool relay_web_end_is_up(const struct relay_web_end *end, const uint8_t *key);
/* relay_web_end_send queues a copy for the relay of key, or drops and counts it. */
void relay_web_end_send(struct relay_web_end *end, const uint8_t *key,
			const struct relay_web_end_dgram *dgram);

/* relay_web_end_turn dials, runs timers and writes what waits; call at relay_web_end_next_ns. */
void relay_web_end_turn(struct relay_web_end *end, uint64_t now_ns);
uint64_t relay_web_end_next_ns(const struct relay_web_end *end);

enum relay_web_end_state {
	RELAY_WEB_END_UNWANTED,
	RELAY_WEB_END_WAITING, /* for the next dial */
	RELAY_WEB_END_DIALLING,
	RELAY_WEB_END_ASKED, /* for the upgrade to WebSocket */
	RELAY_WEB_END_PROVING,
	RELAY_WEB_END_OPEN,
	RELAY_WEB_END_STATE_CNT,
};
struct relay_web_end_view {
	const struct relay_web_place *place;
	enum relay_web_end_state state;
	const char *protocol; /* of WebSocket; NULL: none yet */
	uint64_t since_ns;    /* state */
	uint64_t next_ns;     /* of WAITING: when it is dialled */
	const char *why;      /* the last connection ended; NULL: none did */
	const char *said;     /* words of the relay, of letters that print; "": none */
	unsigned status;      /* of HTTP, that refused; 0: none did */
	bool is_limited;      /* the relay passes less on than this node sends */
	unsigned queue_cnt;
};
/* relay_web_end_view: the relay of idx; false: there is none. Borrowed for the turn. */
bool relay_web_end_view(const struct relay_web_end *end, unsigned idx,
			struct relay_web_end_view *out_view);

struct relay_web_end_stats {
#define FIGURE FIGURE_FIELD
#include "relay/web_end/relay_web_end_counters.def"
};
void relay_web_end_read_stats(const struct relay_web_end *end,
			      struct relay_web_end_stats *out_stats);

#endif
