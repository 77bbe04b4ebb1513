/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_INCIDENTS_H
#define WEFT_FIREWALL_INCIDENTS_H

#include "base/transport.h"
#include "ban_rule.h"

/*
 * The incidents of the last day, by address or key: for each hour a ring of fixed size, whose
 * newest stay. An hour that is too full loses its own oldest and no other hour's. Pure, on one
 * thread. A zeroed one is empty.
 */
#define INCIDENTS_HOUR_CNT 25 /* the hour at hand and the 24 before */
#define INCIDENTS_CAP	   512
#define INCIDENTS_HOUR_NS  (3600ull * 1000000000)

enum incident_kind {
	INCIDENT_SESSION_OPENED,
	INCIDENT_SESSION_CLOSED, /* end says why */
	INCIDENT_BANNED,
	INCIDENT_BAN_REMOVED,
	INCIDENT_BAN_ENDED,
	INCIDENT_WRONG_KEY,   /* this node dialled the key, and end's actual_key answered */
	INCIDENT_DIAL_FAILED, /* this node dialled the key, and got no session: end */
	INCIDENT_REFUSED,     /* the key dialled this node, and got no session: end */
	INCIDENT_VIOLATION,   /* the key broke a rule of the services: rule */
};

struct incident {
	uint64_t at_ns, at_s; /* monotonic, wall clock */
	uint64_t last_s;      /* of the same again and again: when last, 0: once; kept here */
	uint64_t again_cnt;   /* how often after the first; kept here */
	enum incident_kind kind;
	struct transport_close end;
	const char *rule;      /* static; NULL: none */
	struct ban_target who; /* of a ban; else a key */
	struct addr addr;      /* where it was; ADDR_NONE: not known */
};

struct incidents {
	struct incident_hour {
		uint64_t hour; /* number since the monotonic clock's 0, and 1; 0: empty */
		uint64_t cnt;  /* the newest INCIDENTS_CAP of them are there */
		struct incident incidents[INCIDENTS_CAP];
	} hours[INCIDENTS_HOUR_CNT];
};

/*
 * firewall_incidents_add: a time before the hour at hand is ignored. A source that fails over and
 * over from one address, or breaks one rule, has one incident an hour, with a count. It pushes
 * nothing out.
 */
void firewall_incidents_add(struct incidents *incidents, const struct incident *incident);
/*
 * firewall_incidents_find writes the incidents of a key or of the addresses in a prefix, oldest
 * first; the newest when there are more than cap. Returns how many.
 */
unsigned firewall_incidents_find(const struct incidents *incidents, uint64_t now_ns,
				 const struct ban_target *who, struct incident *out_incidents,
				 unsigned cap);
/* firewall_incidents_lost_cnt: how many the last 24 hours lost, of all peers. */
uint64_t firewall_incidents_lost_cnt(const struct incidents *incidents, uint64_t now_ns);

#endif
