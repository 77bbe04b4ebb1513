/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_DIRECTORY_H
#define WEFT_SERVICE_DIRECTORY_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "mesh/seam_overlay.h"
#include "service/limits/abuse.h"
#include "descriptor.h"
#include "service/fault.h"

struct random;
struct store;
struct timer_wheel;

/*
 * Finds the providers of a service: the overlay is asked, and a cache keeps the answers.
 *
 *	find	directory.c -> overlay get -> descriptor_rules.c (checks) -> cache.c -> ranked -> found
 *	peek	cache.c -> ranked, for a caller of a known service
 *
 * All finds of one name share one get. For SERVICE_FRESH_NS an answer is given without a new get.
 * When no node can be asked, or this minute's limit is used up, the cache answers and gives its
 * age. Banned providers disappear at once: each answer checks the bans.
 *
 * Home worker; nothing blocks; found is never called inside the call.
 */
struct service_directory;
struct service_find; /* one under way */

#define SERVICE_FOUND_MAX 20 /* providers in an answer */
#define SERVICE_FRESH_NS  30000000000ull
#define SERVICE_PEEK_NS	  600000000000ull

struct service_directory_config {
	uint32_t entry_cap;	  /* descriptors in the cache */
	size_t entry_memory_len;  /* bytes of them */
	uint32_t find_cap;	  /* under way */
	uint32_t lookups_per_min; /* finds, together */
	uint32_t fetches_per_min; /* of them that ask the overlay */
};
void service_directory_config_defaults(struct service_directory_config *config);

/* Borrowed until service_directory_free; config and seam are copied. Functions may be NULL. */
struct service_directory_params {
	struct service_directory_config config;
	struct overlay_seam overlay; /* ops NULL: the overlay is not asked */
	struct store *store;	     /* NULL: the cache is not kept */
	struct timer_wheel *timers;
	struct random *random;
	const uint8_t *own_key; /* MESH_KEY_LEN */
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx); /* not NULL */
	/*
	 * is_banned: the provider is banned. A peer's reputation, and how well it answers, are each
	 * 0 to 100; NULL: 50.
	 */
	bool (*is_banned)(void *ctx, const uint8_t *key);
	unsigned (*reputation)(void *ctx, const uint8_t *key);
	unsigned (*health)(void *ctx, const struct service_descriptor *descriptor, uint64_t now_ns);
	void (*on_abuse)(void *ctx, const struct service_abuse_event *event, uint64_t now_ns);
	void *ctx;
};

size_t service_directory_footprint(const struct service_directory_config *config);
/* service_directory_new adds the rules of both tags. 0, WEFT_EEXISTS, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int service_directory_new(const struct service_directory_params *params,
			  struct service_directory **out_directory);
/* service_directory_free: no callback comes any more. Takes NULL. */
void service_directory_free(struct service_directory *directory);
/* service_directory_configure takes the rates; sizes stay. */
void service_directory_configure(struct service_directory *directory,
				 const struct service_directory_config *config);

/* A provider. Everything is borrowed for the call that shows it. */
struct service_found {
	const struct service_descriptor *descriptor;
	const uint8_t *bytes; /* the signed object, for callers that verify it */
	size_t len;
	uint64_t age_s; /* since it was last heard */
	unsigned reputation, health;
};

/* The answer to a query. */
struct service_finding {
	int err; /* 0, though nothing may be found; WEFT_EUNREACHABLE, WEFT_ETIMEOUT */
	struct service_found found[SERVICE_FOUND_MAX]; /* best first: reputation plus health */
	unsigned found_cnt;
	bool is_cached;	    /* the overlay was not asked, or did not answer */
	bool is_fresh;	    /* of a peek: the cache needs no find */
	unsigned asked_cnt; /* nodes */
	uint64_t took_ns;
	uint32_t hidden[SERVICE_FAULT_CNT]; /* service_faults_write makes text of it */
};
typedef void (*service_found_fn)(void *arg, const struct service_finding *finding, uint64_t now_ns);

/* A query, by name or by id. Borrowed for the call. */
struct service_query {
	const char *name;	/* NULL: by id */
	const uint8_t *id;	/* SERVICE_ID_LEN, or NULL; with a name both have to fit */
	const uint8_t *owner;	/* MESH_KEY_LEN: of this provider only; NULL: of any */
	const char *version;	/* a range (semver.h); NULL: any */
	const uint8_t *caller;	/* MESH_KEY_LEN, on whose behalf; NULL: this node */
	bool is_anew;		/* ask the overlay, even when the last answer is fresh */
	service_found_fn found; /* receives the answer of a find; unused by a peek */
	void *arg;		/* of found */
};

/*
 * service_find_start: 0; WEFT_EMALFORMED (name or version, or neither name nor id), WEFT_EFULL,
 * WEFT_EREFUSED: lookups_per_min, again after *out_wait_ns.
 * service_find_cancel: found is not called.
 */
WEFT_MUST_CHECK
int service_find_start(struct service_directory *directory, const struct service_query *query,
		       uint64_t now_ns, struct service_find **out_find, uint64_t *out_wait_ns);
void service_find_cancel(struct service_find *find);

/*
 * service_directory_peek answers from the cache at once, with the best cap of at most
 * SERVICE_FOUND_MAX; it is not counted as a lookup. The answer is fresh: the overlay answered less
 * than SERVICE_FRESH_NS ago, or less than SERVICE_PEEK_NS ago and a new get runs. So a frequent
 * caller of a service never waits for a lookup.
 */
void service_directory_peek(struct service_directory *directory, const struct service_query *query,
			    unsigned cap, uint64_t now_ns, struct service_finding *out_finding);

/*
 * service_directory_doubt: the provider of id did not answer a call. The next find of its service
 * asks the overlay, however young the last answer is.
 */
void service_directory_doubt(struct service_directory *directory,
			     const uint8_t id[static SERVICE_ID_LEN]);

/*
 * A service_directory_iter walks the cache's descriptors of all names that may be shown, the latest
 * received first; false: behind the last. The cache may not change meanwhile.
 */
struct service_cache_entry;
struct service_directory_iter {
	const struct service_directory *directory;
	uint64_t now_ns;
	const struct service_cache_entry *entry; /* NULL: before the first */
};
bool service_directory_next(struct service_directory_iter *iter, struct service_found *out_found);

struct service_directory_stats {
#define FIGURE FIGURE_FIELD
#include "service/directory/directory_counters.def"
	uint64_t hidden[SERVICE_FAULT_CNT];
};
void service_directory_stats(const struct service_directory *directory,
			     struct service_directory_stats *out_stats);

#endif
