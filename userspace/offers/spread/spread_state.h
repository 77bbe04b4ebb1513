/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SPREAD_SPREAD_STATE_H
#define WEFT_OFFERS_SPREAD_SPREAD_STATE_H

#include "base/fair/fair_path.h"
#include "base/fair/request_quota.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "offers/message/reservation_message.h"
#include "offers/message/service_query.h"
#include "offer_spread.h"

/* Private to offers/spread/: what its files share. */

#define SPREAD_OWN_TOKENS	    64u /* queries of this node at once */
#define SPREAD_RETURNED_MAX	    64u /* of a token; more go back again */
#define RESERVATION_MESSAGE_LEN_MAX (SERVICE_MESSAGE_HEAD_LEN + RESERVATION_LEN_MAX)
#define SPREAD_PROLONG_S	    3600u /* a way that lives longer by less is not written again */
#define SPREAD_REPLY_CAP	    (64 + MESH_FRAME_OVERHEAD)

/* A message as it goes on, shared by its sends. */
struct spread_bytes {
	uint32_t use_cnt;
	unsigned type;	 /* of the mesh's message */
	bool is_walking; /* it came from a neighbour, and is kept where it cannot go on */
	uint8_t from[MESH_KEY_LEN];
	size_t len;
	uint8_t bytes[];
};

/* One message on its way to one neighbour. */
struct spread_send {
	struct timer timer; /* until it may be sent */
	struct list_node
		link; /* of the peer's waiting, while neither the timer nor a request runs */
	struct offer_spread *spread;
	struct spread_peer *peer;
	struct spread_bytes *message;
	struct mesh_request *request; /* NULL: not asked yet */
	uint8_t reply[SPREAD_REPLY_CAP];
};

/* A neighbour with messages on their way. */
struct spread_peer {
	uint8_t key[MESH_KEY_LEN];
	struct list_node waiting;
	uint32_t send_cnt;  /* all of them */
	uint32_t asked_cnt; /* on their way */
};

/*
 * A token in a service. A query for several services has one token. Each of its services has a way
 * back of its own, as they may come here by different neighbours.
 */
#define SPREAD_ASKED_LEN (SPREAD_TOKEN_LEN + 4u) /* token | service u32le */
struct spread_token {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node link;	/* the one that expires first in front */
	uint8_t name[SPREAD_ASKED_LEN];
	uint8_t from[MESH_KEY_LEN];
	uint64_t expires_ns;
	uint32_t response_cnt;
	uint32_t returned_cnt;
	uint64_t returned[SPREAD_RETURNED_MAX]; /* hashes of what went back */
	bool is_own;
};

/* A neighbour that leads to a provider. */
#define SPREAD_ROUTE_HOPS 2u
struct spread_hop {
	bool is_set;
	bool is_proved; /* an announce that it brought was verified */
	uint8_t key[MESH_KEY_LEN];
};
struct spread_route {
	struct fair_item share; /* first: a victim's leads to the rest */
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct spread_hop direct; /* the provider itself was a neighbour */
	struct spread_hop hops[SPREAD_ROUTE_HOPS];
	struct addr source; /* of the session that has the share; no port */
	uint64_t expires_s; /* of its latest offer */
	uint64_t saved_s;   /* the same as the database has it; 0: it has none of it */
	bool is_dirty;	    /* it has hops that the database has not */
};

/* A Reserve or a Cancel that found no way. The handler has it as well, for a provider that asks. */
struct spread_wait {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct timer timer;	/* until it is tried, or its time is over */
	struct offer_spread *spread;
	uint8_t id[SERVICE_MESSAGE_ID_LEN];
	uint8_t from[MESH_KEY_LEN];
	struct addr source; /* of the session that it came by; no port */
	uint64_t expires_s;
	uint32_t try_cnt;
	bool is_going;
	size_t len;
	uint8_t bytes[RESERVATION_MESSAGE_LEN_MAX];
};

/* A neighbour, and what it has heard of what is kept here. */
struct spread_listener {
	struct fair_item share; /* first: a victim's leads to the rest */
	uint8_t key[MESH_KEY_LEN];
	struct spread_cursor cursor;
	uint64_t began_ns; /* from the start of all */
	uint64_t retry_ns; /* nothing is said before */
	bool is_asked;
};

/* A message 313 on its way, and how far it leads with each of its entries. */
struct spread_telling {
	struct offer_spread *spread;
	struct mesh_request *request;
	uint8_t key[MESH_KEY_LEN];
	struct stock_entry entries[STOCK_MAX];
	struct spread_cursor cursors[STOCK_MAX];
	unsigned cnt;
	uint8_t reply[STOCK_LACKS_LEN_MAX + MESH_FRAME_OVERHEAD];
};

/* An offer that a neighbour was asked for; when all its places are taken, a later one takes the first. */
#define SPREAD_WANTED_CNT   4096u
#define SPREAD_WANTED_PROBE 8u
struct spread_wanted {
	uint8_t ref[STOCK_REF_LEN], peer[STOCK_REF_LEN];
	uint64_t until_ns;
};

struct spread_exchange {
	struct fair_places places;
	struct pool told, tellings;
	struct map by_key;
	struct request_quota heard,
		wants; /* by neighbour: messages, and offers that it is asked for */
	struct timer timer;
	struct spread_wanted *wanted;
	uint64_t wanted_until_ns;
	uint64_t heard_ns; /* of the message at hand */
};

/* What a neighbour may send in a minute. */
struct spread_rates {
	struct request_quota providers;	      /* by neighbour, service and provider */
	struct request_quota relayed;	      /* by neighbour */
	struct request_quota queries;	      /* by neighbour and service */
	struct request_quota relayed_queries; /* by neighbour */
	struct request_quota reserves; /* by neighbour and service, of a relay by provider, too */
	struct request_quota relayed_reserves; /* by neighbour */
	struct request_quota network_reserves; /* by network, service and provider */
};

/* What is on its way to the disk. */
struct spread_keep {
	struct store_batch *batch; /* NULL: nothing is collected */
	struct timer timer;
	uint64_t submitted_ns; /* the latest batch */
	bool has_dirty;	       /* some route is */
};

struct offer_spread {
	struct spread_params params;
	struct arena arena;
	struct fair_places places; /* of tokens */
	struct fair_places route_places;
	struct fair_places wait_places;
	struct pool tokens, own_tokens, sends, peers, routes, waits;
	struct map by_token, by_peer, by_address, by_wait;
	struct spread_keep keep;
	uint64_t swept_ns;	      /* when routes were gone through */
	struct list_node others, own; /* tokens */
	struct spread_rates rates;
	struct spread_exchange exchange;
	struct service_response response; /* the one at hand */
	struct spread_stats stats;
};

/* spread_in.c: message 310. */
void offers_spread_handle(void *ctx, const struct mesh_call *call, uint64_t now_ns);

/* A refusal, as its sender hears it. */
struct spread_refusal {
	enum mesh_code code;
	const char *text;
};
extern const struct spread_refusal offers_spread_too_far, offers_spread_too_many;
void offers_spread_refuse(struct offer_spread *spread, const struct mesh_call *call,
			  const struct spread_refusal *refusal);

/* spread_exchange.c: message 313. is_wanted: peer was asked for the offer of message, a moment ago. */
WEFT_MUST_CHECK
int offers_spread_exchange_init(struct offer_spread *spread, const uint64_t secret[2]);
void offers_spread_exchange_stop(struct offer_spread *spread);
void offers_spread_handle_kept(void *ctx, const struct mesh_call *call, uint64_t now_ns);
bool offers_spread_is_wanted(struct offer_spread *spread, const uint8_t *peer,
			     const struct service_message *message, uint64_t now_ns);

/* spread_endorse.c: message 312. */
void offers_spread_handle_endorsement(void *ctx, const struct mesh_call *call, uint64_t now_ns);

/* spread_rates.c: 0, or in how many ms the neighbour of call may send such a message again. */
WEFT_MUST_CHECK
int offers_spread_rates_init(struct offer_spread *spread, const uint64_t secret[2]);
uint64_t offers_spread_rates_take(struct offer_spread *spread, const uint8_t *peer,
				  const struct service_message *message, uint64_t now_ns);

/*
 * spread_out.c: spread_forward sends bytes to fan_out neighbours but except (NULL: none), with the
 * hop count hop_cnt, each after a random part of jitter_ns. Returns to how many.
 */
struct spread_flood {
	unsigned type; /* 0: a service message; MESH_ENDORSE, of service */
	uint32_t service;
	const uint8_t *bytes;
	size_t len;
	uint8_t hop_cnt;
	const struct service_query *query; /* for several services; NULL: it is of one */
	const uint8_t *except;
	uint64_t jitter_ns;
	unsigned fan_out;    /* 0: the configured one */
	const uint8_t *from; /* NULL, but of what walks and came from a neighbour */
};
unsigned offers_spread_forward(struct offer_spread *spread, const struct spread_flood *flood,
			       uint64_t now_ns);
/* offers_spread_rank: of peer, for messages of service. */
enum spread_rank offers_spread_rank(const struct offer_spread *spread, uint32_t service,
				    const uint8_t *peer);
bool offers_spread_send_to(struct offer_spread *spread, const uint8_t *key,
			   const struct spread_flood *flood, uint64_t now_ns);
void offers_spread_out_stop(struct offer_spread *spread);

/*
 * spread_query.c: whether response has an offer or an endorsement that did not go back to token yet,
 * byte for byte; spread_note: it went.
 */
bool offers_spread_is_news(const struct offer_spread *spread, const struct spread_token *token,
			   const struct service_response *response);
void offers_spread_note(const struct offer_spread *spread, struct spread_token *token,
			const struct service_response *response);
/*
 * spread_route.c: note_way: the neighbour key brought an announce of the provider of address. pass: a
 * Reserve or a Cancel of a neighbour goes on. strand: it could not, later on.
 */
struct spread_way {
	const uint8_t *address, *key;
	uint64_t expires_s; /* of the announce */
	bool is_proved;	    /* its signature was verified */
};
/* wants_proof: whether it would matter that the neighbour key has what the provider signed. */
bool offers_spread_wants_proof(struct offer_spread *spread, const uint8_t *address,
			       const uint8_t *key);
void offers_spread_note_way(struct offer_spread *spread, const struct spread_way *way,
			    uint64_t now_ns);
void offers_spread_note_response(struct offer_spread *spread, const uint8_t *peer,
				 const struct service_response *response, uint64_t now_ns);
enum spread_verdict offers_spread_pass(struct offer_spread *spread,
				       const struct spread_message *heard, const char **out_why);
void offers_spread_strand(struct offer_spread *spread, const uint8_t *bytes, size_t len,
			  const uint8_t *peer, uint64_t now_ns);
/* route_restore: as the database has it; false: there is no place. */
bool offers_spread_route_restore(struct offer_spread *spread, const struct spread_route *saved,
				 uint64_t now_ns);

/*
 * spread_wait.c: wait_add: message is kept here, and goes on when a way is there. wait_end: it went on (or
 * was refused by its provider), or (is_gone false) it did not. waits_look: a way to address, or (NULL)
 * a session, appeared. wait_restore: as the database has it; false: there is no place.
 */
WEFT_MUST_CHECK
int offers_spread_waits_init(struct offer_spread *spread, const uint64_t secret[2]);
void offers_spread_wait_add(struct offer_spread *spread, const struct spread_message *message);
void offers_spread_wait_end(struct offer_spread *spread, const struct spread_bytes *bytes,
			    bool is_gone, uint64_t now_ns);
void offers_spread_waits_look(struct offer_spread *spread, const uint8_t *address, uint64_t now_ns);
bool offers_spread_wait_restore(struct offer_spread *spread, const struct spread_wait *saved,
				uint64_t now_ns);
void offers_spread_waits_stop(struct offer_spread *spread);

/*
 * spread_keep.c: ways are written once a second, and what waits with them. keep_load reads all. keep_stop
 * writes what is not durable yet.
 */
#define SPREAD_WAY_KEY_LEN 17u
void offers_spread_keep_init(struct offer_spread *spread);
WEFT_MUST_CHECK
int offers_spread_keep_load(struct offer_spread *spread);
void offers_spread_keep_stop(struct offer_spread *spread);
void offers_spread_keep_route(struct offer_spread *spread, struct spread_route *route,
			      uint64_t now_ns);
void offers_spread_keep_route_delete(struct offer_spread *spread, const struct spread_route *route,
				     uint64_t now_ns);
void offers_spread_keep_wait(struct offer_spread *spread, const struct spread_wait *wait,
			     uint64_t now_ns);
void offers_spread_keep_wait_delete(struct offer_spread *spread, const struct spread_wait *wait,
				    uint64_t now_ns);
/* spread_keep.c: a record of either kind, its key's first byte; false: it is none. */
void offers_spread_way_write(struct writer *w, const struct spread_route *route);
void offers_spread_wait_write(struct writer *w, const struct spread_wait *wait);
bool offers_spread_way_parse(const uint8_t *bytes, size_t len, struct spread_route *out_route);
bool offers_spread_wait_parse(const uint8_t *bytes, size_t len, struct spread_wait *out_wait);

/*
 * spread_query.c: a token is alive in a service. take notes that it came from the neighbour of call:
 * false: known, or no place.
 */
struct spread_token *offers_spread_token_find(struct offer_spread *spread, const uint8_t *token,
					      uint32_t service, uint64_t now_ns);
bool offers_spread_token_take(struct offer_spread *spread, const uint8_t *token, uint32_t service,
			      const struct mesh_call *call, uint64_t now_ns);

#endif
