/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_RELAYS_SERVICE_RELAYS_H
#define WEFT_OFFERS_RELAYS_SERVICE_RELAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/figure.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "offers/message/service_caps.h"
#include "weft/err.h"

struct random;
struct timer_wheel;

/*
 * Which neighbour relays which service (message 311, docs/wire/offers.md). A node that dials sends
 * its capabilities when the session is there, and the answer has the neighbour's. When a schema is
 * added or removed, or the first offer of a service is published, all neighbours hear it within
 * RELAYS_CHANGE_NS.
 *
 *	changed -> timer -> own capabilities, signed -> each neighbour that has older ones
 *	311 -> form, signer, time -> the neighbour's row -> answer
 *
 * No node says for which services it is a consumer, and none asks another for the relays of one.
 *
 * Neighbours that do not answer hold requests for 10 seconds. The RELAYS_EXCHANGE_CAP requests have
 * fair shares, too, so they hold up those of their own network, which are asked a minute later.
 *
 * The table has RELAYS_PEER_CAP rows of a kilobyte, by fair shares of networks and keys; any node
 * with a session fills one. Of a neighbour that lost its row nothing is known, as before its first
 * word. Home worker; nothing blocks.
 */
struct service_relays;

#define RELAYS_PEER_CAP	    1024u
#define RELAYS_EXCHANGE_CAP 64u /* requests on their way */
#define RELAYS_CHANGE_NS    200000000ull
#define RELAYS_SAID_PER_MIN 20u /* of one neighbour */
#define RELAYS_RETRY_NS	    60000000000ull

/* All borrowed until offers_relays_free, but the seams, which are copied. */
struct service_relays_params {
	const struct node_key *key;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct timer_wheel *timers;
	struct random *random;
	uint64_t (*wall_s)(void *ctx);
	/* rows writes the services of this node, by ascending ids, and returns how many. */
	unsigned (*rows)(void *ctx, struct service_caps_row rows[static SERVICE_CAPS_ROWS_MAX]);
	void *ctx;
	uint64_t now_ns;
};
size_t offers_relays_footprint(void);
/* offers_relays_new: 0, -ENOMEM, WEFT_EFULL, or of mesh_ops.handle. offers_relays_free: or NULL. */
WEFT_MUST_CHECK
int offers_relays_new(const struct service_relays_params *params,
		      struct service_relays **out_relays);
void offers_relays_free(struct service_relays *relays);

/* offers_relays_session_up: the neighbour of key is there. */
void offers_relays_session_up(struct service_relays *relays, const uint8_t *key, uint64_t now_ns);
/*
 * offers_relays_found: the neighbour of key, with which there is a session, was found as a relay of
 * services in another way. Its capabilities are asked for unless they are here.
 */
void offers_relays_found(struct service_relays *relays, const uint8_t *key, uint64_t now_ns);
/* offers_relays_changed: rows may be others from now on. */
void offers_relays_changed(struct service_relays *relays, uint64_t now_ns);

enum relays_word {
	RELAYS_UNKNOWN, /* it has said nothing */
	RELAYS_NO,	/* it relays other services */
	RELAYS_YES,
};
/* offers_relays_of: what the neighbour of key says of service. */
enum relays_word offers_relays_of(const struct service_relays *relays, const uint8_t *key,
				  uint32_t service);
/* offers_relays_own: what this node says. offers_relays_caps: what a neighbour said, or NULL. */
const struct service_caps *offers_relays_own(const struct service_relays *relays);
const struct service_caps *offers_relays_caps(const struct service_relays *relays,
					      const uint8_t *key);
/* offers_relays_is_connected: a session with the neighbour of key is there. */
bool offers_relays_is_connected(const struct service_relays *relays, const uint8_t *key);
/* offers_relays_each gives what neighbours said, behind the first at; fn ends it with false. */
void offers_relays_each(const struct service_relays *relays, uint32_t at,
			bool (*fn)(void *arg, const struct service_caps *caps), void *arg);

struct service_relays_stats {
#define FIGURE FIGURE_FIELD
#include "offers/relays/service_relays_counters.def"
};
void offers_relays_stats(const struct service_relays *relays,
			 struct service_relays_stats *out_stats);
/* offers_relays_fair: the table; offers_relays_exchanges: the requests on their way. */
void offers_relays_fair(const struct service_relays *relays, struct fair_view *out_view);
void offers_relays_exchanges(const struct service_relays *relays, struct fair_view *out_view);

#endif
