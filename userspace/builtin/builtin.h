/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_BUILTIN_H
#define WEFT_BUILTIN_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "provider/tenant/tenant.h"
#include "weft/err.h"

struct node_key;
struct fair_view;
struct random;

/*
 * The services that a node offers itself. They use only the seam that provider/tenant/tenant.h
 * gives to every service; docs/builtin.md describes their methods.
 *
 *	echo		what is sent comes back: tests, and measuring
 *	pod-chat	rooms with members, and the messages in them
 *	shadow-index	which node has which recording, by its MusicBrainz id
 *	mesh-stats	the node's state, in numbers without names
 *	dht		the Mainline DHT, for peers that cannot speak to it themselves
 *	mesh-content	bytes of what this node serves, by content id
 *	hole-punch	a direct path for the session with the caller, at its word
 *	private-gateway	TCP servers that the configuration lists, for the nodes that it names
 *
 * Home worker.
 */
struct builtin;

enum builtin_service {
	BUILTIN_ECHO,
	BUILTIN_POD_CHAT,
	BUILTIN_SHADOW_INDEX,
	BUILTIN_MESH_STATS,
	BUILTIN_DHT,
	BUILTIN_CONTENT,
	BUILTIN_PUNCH,
	BUILTIN_CNT,
};
const char *builtin_name(enum builtin_service which);
/*
 * builtin_names_parse: the services that names has, apart by blanks or commas, as bits of their
 * numbers. False: one of them is none.
 */
bool builtin_names_parse(const char *names, uint32_t *out_offered);

/* The service private-gateway, which is there when allow is not empty. */
#define BUILTIN_FORWARD_CAP 2048
struct builtin_forward_config {
	char allow[BUILTIN_FORWARD_CAP]; /* builtin/tunnels/forward_allow.h */
	uint64_t idle_ns;		 /* a tunnel on which no byte moves is ended */
	uint64_t life_ns;		 /* of a tunnel */
	uint64_t dial_ns;		 /* until the server has answered */
};
/* builtin_forward_is_valid: allow is a list, or empty. */
bool builtin_forward_is_valid(const char *allow);

struct builtin_config {
	uint32_t offered;	  /* a bit for each enum builtin_service */
	uint32_t pod_cnt;	  /* at most */
	uint32_t pod_message_cnt; /* kept of each pod, at most */
	uint32_t pod_days; /* a message is kept, unless its pod says otherwise; 0: in memory only */
	size_t pod_memory_len; /* of messages, all together */
	uint32_t track_cnt;    /* registrations in the shadow index, at most */
	struct builtin_forward_config forward;
};
/* builtin_config_defaults: all but echo, dht, mesh-content and hole-punch. */
void builtin_config_defaults(struct builtin_config *config);
/* builtin_footprint: bytes at worst. */
size_t builtin_footprint(const struct builtin_config *config);

struct builtin_clock {
	uint64_t (*now_ns)(void *ctx);	/* of the turn */
	uint64_t (*wall_ms)(void *ctx); /* since 1970 */
	void *ctx;
};

/* The values of mesh-stats: counts alone, so that none can name a person or a node. */
struct builtin_mesh_status {
	uint64_t uptime_s;
	uint64_t session_cnt;
	uint64_t call_cnt;    /* that services of this node were asked */
	uint64_t refused_cnt; /* of those */
	uint64_t offer_cnt;   /* services offered here */
	uint64_t bytes_in, bytes_out;
};
struct builtin_peers_summary {
	uint64_t known_cnt;
	uint64_t connected_cnt;
	uint64_t banned_cnt;
	uint64_t rtt_median_us; /* of those connected; 0: none is */
};
struct builtin_figures {
	void (*mesh_status)(void *ctx, struct builtin_mesh_status *out_status);
	void (*peers_summary)(void *ctx, struct builtin_peers_summary *out_summary);
	void *ctx;
};

/*
 * The Mainline DHT as the service dht uses it. An id is of 20 bytes; an item's value is its
 * bencoding. get: with a key in name, the item that the key signed under name's salt, else the one
 * of target. found is called for each better item, then ended once, neither from within get or put;
 * a cancelled search has no more callbacks. get and put: 0, WEFT_EMALFORMED (no such item can be),
 * or WEFT_EFULL (no node is known, or too many searches are under way).
 */
#define BUILTIN_DHT_ID_LEN    20u
#define BUILTIN_DHT_VALUE_MAX 1000u
#define BUILTIN_DHT_SALT_MAX  64u

struct builtin_dht_node {
	uint8_t id[BUILTIN_DHT_ID_LEN];
	char address[ADDR_TEXT_CAP];
};
struct builtin_dht_item {
	const uint8_t *value, *key, *sig, *salt; /* key NULL: immutable; sig of 64 bytes */
	size_t value_len, salt_len;
	int64_t seq;
};
struct builtin_dht_outcome {
	uint8_t target[BUILTIN_DHT_ID_LEN];
	unsigned stored_cnt, newer_cnt; /* of a put: nodes that took it; that have a newer one */
	bool is_answered;		/* by some node */
};
struct builtin_dht_lookup {
	void (*found)(struct builtin_dht_lookup *search, const struct builtin_dht_item *item);
	void (*ended)(struct builtin_dht_lookup *search, const struct builtin_dht_outcome *outcome,
		      uint64_t now_ns);
	uint64_t handle; /* of the seam's */
	void *seam;
	uint8_t target[BUILTIN_DHT_ID_LEN];
};
struct builtin_dht {
	bool (*own_id)(void *ctx, uint8_t out_id[BUILTIN_DHT_ID_LEN]); /* false: no DHT */
	unsigned (*nearest)(void *ctx, const uint8_t target[BUILTIN_DHT_ID_LEN],
			    struct builtin_dht_node *out_nodes, unsigned cap);
	int (*get)(void *ctx, const uint8_t target[BUILTIN_DHT_ID_LEN],
		   const struct builtin_dht_item *name, struct builtin_dht_lookup *search,
		   uint64_t budget_ns);
	int (*put)(void *ctx, const struct builtin_dht_item *item,
		   struct builtin_dht_lookup *search);
	void (*cancel)(void *ctx, struct builtin_dht_lookup *search);
	void *ctx;
};

/*
 * Contents that this node serves. read begins to read one for the peer of key. NULL is a program of
 * this node, which may read all that is here. opened gets the size once and returns the wanted
 * part, or false, and the reading is over. piece gets the next bytes, borrowed; false: not now,
 * they come again after resume. ended comes once and last with 0 or the error. None of them comes
 * from within read, resume or cancel; cancel ends the reading without a callback. read: 0,
 * WEFT_EABSENT (key may not read it, or it is not here), WEFT_EREFUSED (blocked), WEFT_EFULL.
 */
struct builtin_reading {
	bool (*opened)(struct builtin_reading *reading, uint64_t size, uint64_t *out_off,
		       uint64_t *out_len, uint64_t now_ns);
	bool (*piece)(struct builtin_reading *reading, const uint8_t *data, size_t len,
		      uint64_t now_ns);
	void (*ended)(struct builtin_reading *reading, int err, uint64_t now_ns);
	void *seam;
};
struct builtin_content {
	int (*read)(void *ctx, const uint8_t *key, const uint8_t content_id[32],
		    struct builtin_reading *reading, uint64_t now_ns);
	void (*resume)(void *ctx, struct builtin_reading *reading, uint64_t now_ns);
	void (*cancel)(void *ctx, struct builtin_reading *reading);
	void *ctx;
};

/*
 * Hole punching as the service hole-punch uses it. request begins a round for the session with the node
 * of key, with cnt addresses that the caller names. It gives 0, WEFT_EABSENT (no session that this worker
 * has), or WEFT_EREFUSED (it is on TCP). WEFT_EEXISTS: it is direct. WEFT_EBUSY: a round is under way.
 * WEFT_EFULL: there is no place for one. show: the last round. cancel ends one that request began.
 */
#define BUILTIN_PUNCH_NAMED_MAX 4u

enum builtin_punch_state {
	BUILTIN_PUNCH_UNDER_WAY,
	BUILTIN_PUNCH_FOUND,	  /* a path */
	BUILTIN_PUNCH_SILENT,	  /* no probe was answered */
	BUILTIN_PUNCH_UNANSWERED, /* the caller's node did not take part */
	BUILTIN_PUNCH_NO_ADDRESS, /* this node knows none of its own, or no UDP passes here */
	BUILTIN_PUNCH_STATE_CNT,
};
struct builtin_punch_view {
	enum builtin_punch_state state;
	bool is_direct;			   /* the session, now */
	char address[ADDR_TEXT_CAP];	   /* where it leads, of a direct one */
	unsigned probed_cnt, answered_cnt; /* addresses */
};
struct builtin_punch {
	/* may: what request would return. It changes nothing. */
	int (*may)(void *ctx, const uint8_t key[32]);
	int (*request)(void *ctx, const uint8_t key[32], const struct addr *named, unsigned cnt,
		       uint64_t now_ns);
	void (*show)(void *ctx, const uint8_t key[32], struct builtin_punch_view *out_view);
	void (*cancel)(void *ctx, const uint8_t key[32]);
	void *ctx;
};

struct builtin_params {
	struct builtin_config config;
	struct provider_tenants *tenants; /* outlives builtin */
	struct service *service;
	struct service_topics *topics; /* of service */
	struct random *random;
	struct builtin_clock clock;
	struct builtin_figures figures;
	struct builtin_dht dht;		/* outlives builtin */
	struct builtin_content content; /* likewise */
	struct builtin_punch punch;	/* likewise */
	const struct node_key *key;	/* the node's; outlives builtin */
	/* The node of key is a member of community. NULL: it is of none. */
	bool (*is_member)(void *ctx, const uint8_t *community, const uint8_t *key);
	void *ctx;
	uint64_t now_ns;
};
/*
 * builtin_new reads the stored state and offers. 0, -errno or WEFT_E..., as provider_tenant_open,
 * provider_walk_close and service_offer. builtin_free withdraws and waits until the submitted writes are durable; service,
 * tenants and what they stand on are still there.
 */
WEFT_MUST_CHECK
int builtin_new(const struct builtin_params *params, struct builtin **out_builtin);
void builtin_free(struct builtin *builtin, uint64_t now_ns);
/* builtin_hurry: the overlay is there now, or more of it: published rows go there soon. */
void builtin_hurry(struct builtin *builtin, uint64_t now_ns);
/* builtin_readings: of mesh-content, under way; returns at most how many. */
unsigned builtin_readings(const struct builtin *builtin, unsigned *out_cnt);
/* Histories of rooms: the fills of the bounds in rooms.h, of rooms the fullest one's. */
struct builtin_rooms {
	unsigned kept_cnt, kept_cap;
	unsigned answer_cnt, answer_cap;
	unsigned segment_cnt, segment_cap;
	uint64_t event_cnt, event_cap;
	uint64_t len, len_cap;
	uint64_t memory_len, memory_cap;
};
void builtin_rooms(const struct builtin *builtin, struct builtin_rooms *out);

/* Limits of private-gateway, with their fills. */
struct builtin_tunnels {
	unsigned tunnel_cnt, tunnel_cap;
	unsigned of_peer_cnt, of_peer_cap; /* of the peer that has most */
	unsigned member_cnt, member_cap;   /* that have tunnels */
	unsigned new_cnt, new_cap;	   /* within the last minute */
	uint64_t refused_cnt;
};
void builtin_tunnels(const struct builtin *builtin, uint64_t now_ns, struct builtin_tunnels *out);
/* builtin_watch_cap: watches of the poller, at worst. */
unsigned builtin_watch_cap(void);

/* builtin_content_places: the holders of mesh-content's readings; false: it is not offered. */
bool builtin_content_places(const struct builtin *builtin, struct fair_view *out);
/* builtin_punch_places: the holders of the service hole-punch's rounds; false: it is not offered. */
bool builtin_punch_places(const struct builtin *builtin, struct fair_view *out);
/* builtin_dht_places: the holders of the service dht's searches; false: it is not offered. */
bool builtin_dht_places(const struct builtin *builtin, struct fair_view *out);

#endif
