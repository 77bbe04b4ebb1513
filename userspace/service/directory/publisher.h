/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_PUBLISHER_H
#define WEFT_SERVICE_DIRECTORY_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "mesh/seam_overlay.h"
#include "descriptor.h"

struct node_key;
struct store;
struct timer_wheel;

/*
 * Puts this node's descriptors on the overlay. Each offer has a signed descriptor, put under its
 * name and its id. It is put as soon as a node can take it, when the offer or the node's addresses
 * change, and at half its life. An offer that ends leaves one last descriptor, which says gone and
 * lives no longer than the one before would have. Descriptors have ascending sequence numbers, one
 * row for the whole node. A number is durable before anything signed with it leaves, so no crash
 * repeats one. At most publishes_per_min a minute; the rest wait, and their state says so.
 *
 * Home worker; nothing blocks.
 */
#define SERVICE_PUBLISH_FIRST_NS 10000000000ull /* after the start, even if no node connected */
#define SERVICE_PUBLISH_RETRY_NS 60000000000ull /* after a failure */

struct service_publisher_config {
	uint32_t publication_cap;
	uint32_t publishes_per_min;
	uint32_t ttl_s; /* in [SERVICE_DESCRIPTOR_TTL_S_MIN, _MAX], else the nearer of them */
};
void service_publisher_config_defaults(struct service_publisher_config *config);

/* Borrowed until service_publisher_free; config and seam are copied. */
struct service_publisher_params {
	struct service_publisher_config config;
	struct overlay_seam overlay; /* ops NULL: nothing is ever put */
	const struct node_key *key;
	struct store *store; /* NULL: numbers begin with the wall clock's seconds each time */
	struct timer_wheel *timers;
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx);
	void *ctx;
};

struct service_publisher;
struct service_publication;

size_t service_publisher_footprint(const struct service_publisher_config *config);
/* service_publisher_new: 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int service_publisher_new(const struct service_publisher_params *params,
			  struct service_publisher **out_publisher);
/*
 * service_publisher_free: nothing more is put; published descriptors live on for their hour. May
 * wait for the store. Takes NULL.
 */
void service_publisher_free(struct service_publisher *publisher);
void service_publisher_configure(struct service_publisher *publisher,
				 const struct service_publisher_config *config);

/*
 * service_publisher_offer publishes name, version and metadata of offering, which are copied. It
 * replaces the publication of this name and major version. 0 also when the put has to wait;
 * WEFT_EFULL; WEFT_EMALFORMED or WEFT_ETOOLARGE with *out_fault. service_publisher_withdraw ends
 * the publication, if there is one.
 */
WEFT_MUST_CHECK
int service_publisher_offer(struct service_publisher *publisher,
			    const struct service_offering *offering, uint64_t now_ns,
			    enum service_fault *out_fault);
void service_publisher_withdraw(struct service_publisher *publisher, const char *name,
				uint32_t major, uint64_t now_ns);
/*
 * service_publisher_leave: this node stops. It withdraws all that was published, and offers nothing
 * any more. service_publisher_has_left: the withdrawals are put, no node took them, or the limit
 * per minute holds them back.
 */
void service_publisher_leave(struct service_publisher *publisher, uint64_t now_ns);
bool service_publisher_has_left(const struct service_publisher *publisher);
/* service_publisher_set_places: where this node is dialled. */
void service_publisher_set_places(struct service_publisher *publisher,
				  const struct peer_places *places, uint64_t now_ns);

/*
 * service_publisher_hurry: a node that can take values is there. Nothing waits for the start any
 * more. Descriptors that no node took are put again, and so are those that one node took: it may be
 * this one.
 */
void service_publisher_hurry(struct service_publisher *publisher, uint64_t now_ns);
/*
 * service_publisher_set_wall: the wall clock may have been set. Descriptors that this clock shows
 * as expired or signed in the future are hidden by other nodes: they are signed anew and put now.
 */
void service_publisher_set_wall(struct service_publisher *publisher, uint64_t now_ns);

/* The state of a publication, for users. Borrowed until it ends. */
struct service_publication_state {
	const char *name, *version;
	bool is_gone;	     /* its last descriptor is under way */
	bool is_held_back;   /* for publishes_per_min, until next_ns */
	int err;	     /* how the last put went: 0, or WEFT_EUNREACHABLE, ... */
	unsigned stored_cnt; /* nodes that hold it, by the last put */
	uint64_t seq, created_s, expires_s; /* of the last descriptor put; 0: none yet */
	uint64_t next_ns;		    /* when it is put again; TIMER_NEVER: it is being put */
};
/*
 * A service_publication_iter walks the publications; false: behind the last. The one at hand may
 * end before the next is asked for.
 */
struct service_publication;
struct service_publication_iter {
	const struct service_publisher *publisher;
	const struct service_publication *publication; /* NULL: before the first */
};
bool service_publisher_next(struct service_publication_iter *iter,
			    struct service_publication_state *out_state);

struct service_publisher_stats {
#define FIGURE FIGURE_FIELD
#include "service/directory/publisher_counters.def"
};
void service_publisher_stats(const struct service_publisher *publisher,
			     struct service_publisher_stats *out_stats);

#endif
