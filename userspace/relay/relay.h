/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RELAY_H
#define WEFT_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "weft/err.h"
#include "weft/relay_tables.h"

struct node_key;
struct random;
struct store;

/*
 * The data path of a relay: the tables of weft/relay_tables.h, whose flows and
 * grants are opened and closed here, and the ledger of volumes. Datagrams
 * themselves never come here: the XDP program and relay/forward.h forward
 * them by the tables. Home; the tables are read and counted in by all.
 */
struct relay;

#define RELAY_KEY_LEN	   32
#define RELAY_GRANT_LEN	   32	  /* of a grant's id */
#define RELAY_DAY_S	   86400u /* of UTC */
#define RELAY_NO_GRANT	   0u
#define RELAY_OPENED_MAX   3 /* flows without a grant, of one key */
#define RELAY_FLOW_CAP_MIN 64
#define RELAY_IDLE_NS	   300000000000ull
#define RELAY_MTU_MIN	   1200u /* QUIC's datagrams fit in that (RFC 9000 14.1) */

struct relay_config {
	bool is_on;
	bool is_earned;	     /* the node is a relay while it contributes: relay/role */
	uint32_t flow_cap;   /* RELAY_FLOW_CAP_MIN to WEFT_RELAY_FLOW_CNT_MAX */
	uint64_t free_per_s; /* bytes a second of a flow without a grant */
	uint64_t free_burst_len;
	uint64_t free_day_len;	       /* bytes a day of control flows of one key without a grant */
	uint64_t free_content_day_len; /* likewise of content flows */
	uint32_t free_opens;	       /* flows that one key opens a day without a grant */
	uint32_t free_network;	       /* a network of unknown keys has what so many keys have */
	uint64_t slow_per_s;	       /* of a flow beyond its volume */
};
void relay_config_defaults(struct relay_config *config);

/* What a flow is for; the bytes of a day are counted apart. */
enum relay_class { RELAY_CONTROL, RELAY_CONTENT, RELAY_CLASS_CNT };

enum relay_close_why { RELAY_CLOSED_IDLE, RELAY_CLOSED_EVICTED, RELAY_CLOSED_GRANT };

/* A flow by index and salt: one of another allocation is not found. */
struct relay_flow_id {
	uint32_t idx;
	uint16_t salt;
};

struct relay_params {
	struct relay_config config;
	const struct node_key *key;
	struct store *store; /* NULL: the ledger is lost with the process */
	struct random *random;
	const struct fair_site *site;
	uint64_t now_ns, wall_s;
	/* One of this node's own addresses is never a leg. */
	bool (*is_own)(void *ctx, const struct addr *addr);
	/* The relay closed a flow by itself. May be NULL. Opens and closes nothing. */
	void (*on_closed)(void *ctx, struct relay_flow_id id, enum relay_close_why why);
	/* A flow is beyond its volume (true), or has volume again. May be NULL. As on_closed. */
	void (*on_slowed)(void *ctx, struct relay_flow_id id, bool is_slow);
	/*
	 * Flows of owner carried more bytes behind labels: lens[0] from their openers, lens[1] to them.
	 * May be NULL. As on_closed.
	 */
	void (*on_carried)(void *ctx, const uint8_t *owner, const uint64_t lens[static 2]);
	void *ctx;
};

struct relay_stats {
#define FIGURE FIGURE_FIELD
#include "relay/relay_counters.def"
};

/* relay_new: 0, -ENOMEM, or of the store. Volume that was leased before a crash counts as used. */
WEFT_MUST_CHECK
int relay_new(const struct relay_params *params, struct relay **out_relay);
/* relay_free takes NULL. It stores what was really used of the leases. */
void relay_free(struct relay *relay);
size_t relay_footprint(const struct relay_config *config);
/* relay_tables: each at the start of a page. Borrowed for the relay's life. */
const struct weft_relay_tables *relay_tables(const struct relay *relay);
const struct relay_stats *relay_stats(const struct relay *relay);
void relay_places(const struct relay *relay, struct fair_view *out);

/* relay_turn: keys of the hour, leases, idle flows, volumes. relay_next_ns: when it is due. */
#define RELAY_TURN_NS 100000000ull
void relay_turn(struct relay *relay, uint64_t now_ns, uint64_t wall_s);
uint64_t relay_next_ns(const struct relay *relay);

/*
 * Grants. relay_grant_open gives the row of the grant with id, with terms as
 * they were verified. A grant that is open already keeps its row and takes
 * the new terms. Its volume comes with the first lease. Returns the row, 1 or
 * more, or WEFT_EFULL. relay_grant_close closes its flows, too.
 */
struct relay_grant_terms {
	uint8_t id[RELAY_GRANT_LEN];
	uint64_t per_s;	    /* bytes; 0: no limit */
	uint64_t burst_len; /* bytes */
	uint64_t month_len; /* bytes a month, of UTC; 0: no limit */
	uint32_t flow_max;  /* open at once; 0: no limit */
};
WEFT_MUST_CHECK
int relay_grant_open(struct relay *relay, const struct relay_grant_terms *terms);
void relay_grant_close(struct relay *relay, unsigned row);
/* relay_grant_used: bytes of this month, of leases what is not left. WEFT_EABSENT: no such row. */
WEFT_MUST_CHECK
int relay_grant_used(const struct relay *relay, unsigned row, uint64_t *out_len);
/* relay_grant_flow_cnt: flows of an open grant. */
uint32_t relay_grant_flow_cnt(const struct relay *relay, unsigned row);
/* relay_grant_row: of the open grant with id, or RELAY_NO_GRANT. */
unsigned relay_grant_row(const struct relay *relay, const uint8_t id[static RELAY_GRANT_LEN]);
/*
 * relay_grant_id_at: of the open grant in row, or NULL. A row is another grant's once its own is
 * closed: what outlives the turn keeps the id. Borrowed for the turn.
 */
const uint8_t *relay_grant_id_at(const struct relay *relay, unsigned row);

/*
 * relay_flow_open: a flow without addresses yet. owner opens it; its account
 * is addr's networks, then owner. Without a grant it has the rates of the
 * configuration. worker (0 to 127) is named in labels.
 *
 * Returns 0, or:
 *   WEFT_EFULL    no share of the pool is left for that account
 *   WEFT_EREFUSED owner has RELAY_OPENED_MAX without a grant, or the grant its flows
 *   WEFT_EBUSY    owner or its network opened as many as a day has without a grant
 *   WEFT_EABSENT  grant is no open row
 *   WEFT_ETOOSMALL mtu is below RELAY_MTU_MIN
 */
struct relay_flow_terms {
	const uint8_t *owner; /* RELAY_KEY_LEN bytes */
	const struct addr *addr;
	enum fair_class class; /* of its account; with a grant it is chosen */
	enum relay_class traffic;
	unsigned grant; /* a row, or RELAY_NO_GRANT */
	uint32_t mtu;	/* longest QUIC packet that both legs carry */
	unsigned worker;
};
WEFT_MUST_CHECK
int relay_flow_open(struct relay *relay, const struct relay_flow_terms *terms,
		    struct relay_flow_id *out_id);
/* relay_flow_judge: what relay_flow_open would say of terms, but for shares; mtu and worker do not count. */
WEFT_MUST_CHECK
int relay_flow_judge(const struct relay *relay, const struct relay_flow_terms *terms);
/* relay_day_left_s: seconds until what a day has is there anew. */
uint32_t relay_day_left_s(const struct relay *relay);
/*
 * relay_flow_set_leg: leg (0 or 1) is where remote is now, an address that its
 * key has proven, and talks to local. 0, WEFT_EABSENT, or WEFT_EREFUSED: one of
 * this node's own addresses, or the other leg's.
 */
WEFT_MUST_CHECK
int relay_flow_set_leg(struct relay *relay, struct relay_flow_id id, unsigned leg,
		       const struct addr *remote, const struct addr *local);
/* relay_flow_label: what leg's end writes, kind 0. 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int relay_flow_label(const struct relay *relay, struct relay_flow_id id, unsigned leg,
		     struct weft_relay_label *out_label);
/* relay_flow_renew: labels under this hour's key from now on; those of before are heard, too. */
WEFT_MUST_CHECK
int relay_flow_renew(struct relay *relay, struct relay_flow_id id);
/* relay_flow_settle: what the flow carried until now is charged, and on_carried is called. */
void relay_flow_settle(struct relay *relay, struct relay_flow_id id);
/* relay_settle: relay_flow_settle for each open flow. Takes NULL. */
void relay_settle(struct relay *relay);
/* relay_flow_close: one that is not open is left alone. */
void relay_flow_close(struct relay *relay, struct relay_flow_id id);

struct relay_flow_view {
	const uint8_t *owner;
	unsigned grant;
	uint32_t mtu, generation;
	uint64_t bytes[2], packets[2], refused[2]; /* by the leg that sent */
	uint64_t opened_ns, used_ns;		   /* used: when a turn last saw it used */
	uint32_t opened_today;			   /* flows that owner opened; 0: it has a grant */
	bool is_slow;
};
/* relay_flow_read: 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int relay_flow_read(const struct relay *relay, struct relay_flow_id id,
		    struct relay_flow_view *out_view);

#endif
