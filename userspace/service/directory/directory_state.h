/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_DIRECTORY_STATE_H
#define WEFT_SERVICE_DIRECTORY_DIRECTORY_STATE_H

#include "base/memory/arena.h"
#include "base/list.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "service/limits/abuse.h"
#include "cache.h"
#include "directory.h"
#include "descriptor_rules.h"
#include "codec/text/semver.h"
#include "service/limits/window.h"

/*
 * The directory's objects, private to service/: directory.c has the finds and their limits,
 * directory_get.c their gets of the overlay, directory_rank.c makes answers from the cache.
 */

/* A query, copied; range borrows range_text. */
struct service_wanted {
	bool has_name, has_id, has_owner;
	char name[SERVICE_NAME_LEN_MAX + 1];
	uint8_t id[SERVICE_ID_LEN];
	uint8_t owner[MESH_KEY_LEN];
	char range_text[SEMVER_RANGE_LEN_MAX + 1];
	struct semver_range range;
};

struct service_find {
	struct service_directory *directory;
	struct service_directory_get *fetch; /* NULL: it is answered next turn */
	struct list_node node; /* of its fetch's finds, or of those that wait for the turn */
	struct service_wanted wanted;
	int err; /* the answer is given next turn */
	uint64_t started_ns;
	service_found_fn found;
	void *arg;
};

/* A fetch counts each refused value once, from any number of senders; at most this many. */
#define SERVICE_DIRECTORY_GET_REFUSED_MAX   1024u
#define SERVICE_DIRECTORY_GET_REFUSED_SLOTS (2 * SERVICE_DIRECTORY_GET_REFUSED_MAX)
#define SERVICE_DIRECTORY_GET_CNT	    32u

/* One get of the overlay, for all finds of the values under text; a peek's get has no finds. */
struct service_directory_get {
	struct service_directory *directory;
	struct overlay_run *run;
	char name[SERVICE_NAME_LEN_MAX + 1]; /* "": it is of id */
	uint8_t id[SERVICE_ID_LEN];
	char text[SERVICE_VALUE_NAME_CAP];
	size_t text_len;
	bool is_over; /* it is being answered: joined no more */
	struct list_node finds;
	uint64_t started_ns;
	uint32_t hidden[SERVICE_FAULT_CNT];
	uint64_t refused[SERVICE_DIRECTORY_GET_REFUSED_SLOTS]; /* hashes; 0: free */
	uint32_t refused_cnt;
};

struct service_directory {
	struct service_directory_params params;
	struct arena arena;
	struct service_abuse abuse;
	struct service_rules rules;
	struct service_cache cache;
	struct pool finds, fetches;
	struct list_node waiting; /* finds answered from the cache by answer_timer */
	struct timer answer_timer, expire_timer;
	struct service_window lookups, fetched;
	uint64_t secret[2];
	struct service_directory_stats stats;
};

static inline uint64_t service_directory_wall_s(const struct service_directory *directory)
{
	return directory->params.wall_s(directory->params.ctx);
}

/*
 * service_wanted_read copies a query to where it stays. 0 or WEFT_EMALFORMED.
 * service_wanted_was_asked: the overlay answered for it less than for_ns ago.
 */
WEFT_MUST_CHECK
int service_wanted_read(const struct service_query *query, struct service_wanted *wanted);
bool service_wanted_was_asked(const struct service_directory *directory,
			      const struct service_wanted *wanted, uint64_t for_ns,
			      uint64_t now_ns);

/*
 * service_rank sets finding's found from the cache: the best cap providers, which are valid, not
 * banned and wanted, best first. Those that are wanted but not shown are added to hidden, by reason.
 */
void service_rank(struct service_directory *directory, const struct service_wanted *wanted,
		  unsigned cap, uint64_t now_ns, struct service_finding *finding);

/*
 * service_directory_get_join: the running fetch of wanted, or NULL. start begins one: 0, WEFT_EFULL
 * or the overlay's error. stop cancels it; it has no finds any more.
 */
struct service_directory_get *service_directory_get_join(struct service_directory *directory,
							 const struct service_wanted *wanted);
WEFT_MUST_CHECK
int service_directory_get_start(struct service_directory *directory,
				const struct service_wanted *wanted, uint64_t now_ns,
				struct service_directory_get **out_fetch);
void service_directory_get_stop(struct service_directory_get *fetch);
/* service_directory_get_note_refused is the rules' on_refused. */
void service_directory_get_note_refused(void *ctx, const void *name, size_t len,
					const uint8_t hash[static SERVICE_VALUE_HASH_LEN],
					enum service_fault fault);

/*
 * service_find_answer calls find's callback and releases find. It sets finding's found, found_cnt
 * and took_ns.
 */
void service_find_answer(struct service_find *find, struct service_finding *finding,
			 uint64_t now_ns);

#endif
