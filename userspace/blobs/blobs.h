/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_BLOBS_H
#define WEFT_BLOBS_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "link.h"
#include "blobs/rates/rates.h"
#include "blobs/rates/timetable.h"
#include "blobs/rates/zones.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct store;
struct jobs;
struct random;
struct timer_wheel;
struct load_who;
struct mailbox_message;

/*
 * Files by hash: what is shared, what is being fetched, and the answers
 * to peers. Lives on the home worker; disks and hashing run in jobs
 * and import threads. Inbound story: share_table.c -> import.c -> object.c and
 * manifest_reader.c; serve.c answers. Outbound: get.c -> get_run*.c -> target_dir.c.
 */
struct blobs;

#define BLOBS_PATH_CAP 4096u

struct blobs_config {
	unsigned import_threads; /* hashing threads */
	uint32_t share_cap;
	uint32_t get_cap;	   /* gets remembered */
	uint32_t get_active_cap;   /* gets that run at once */
	uint32_t chunks_in_flight; /* requests of one get */
	uint32_t chunk_buffer_cnt; /* 256 KiB buffers in all, serving and fetching */
	uint64_t request_timeout_ns;
	uint64_t stall_ns;
	uint32_t item_cap;     /* items of one manifest: 3,000 */
	uint64_t scrub_rate;   /* bytes a second of files here that are verified; 0: none */
	uint64_t seed_percent; /* of its size that a get is sent to others; 0: no bound */
	uint64_t seed_for_ns;  /* that a get is seeded after it finished; 0: no bound */
	uint64_t limits[BLOBS_LIMIT_CNT];
	uint32_t month_reset_day;     /* on which a month begins, 1 to 28; 0: 1 */
	uint32_t month_glide_percent; /* of a month's cap, from which on the glide holds */
	char timetables[BLOBS_DIRECTION_CNT]
		       [TIMETABLE_TEXT_CAP]; /* as blobs_timetable_parse reads them */
	char zones[ZONES_TEXT_CAP]; /* as blobs_zones_parse reads it; what it refuses is left out */
};
void blobs_config_defaults(struct blobs_config *config);
/* blobs_serve_footprint: bytes of one worker with so many chunk buffers, touched as they are used. */
size_t blobs_serve_footprint(uint32_t chunk_buffer_cnt);

struct blobs_import;
struct store_batch;

/* Reported to node/ for the event stream; text fields are for people. */
enum blobs_event_kind {
	BLOBS_IMPORT_PROGRESS,
	BLOBS_IMPORT_DONE, /* what was hashed is stored */
	BLOBS_IMPORT_FAILED,
	BLOBS_IMPORT_CANCELLED,
	BLOBS_SHARE_ADDED,
	BLOBS_SHARE_REMOVED,
	BLOBS_FILE_CHANGED, /* a shared file is no longer what was hashed */
	BLOBS_GET_STARTED,
	BLOBS_GET_PROGRESS,
	BLOBS_GET_DONE,
	BLOBS_GET_FAILED,
	BLOBS_GET_CANCELLED,
	BLOBS_PEER_BAD,	     /* a peer sent bytes that fail verification */
	BLOBS_FILE_BAD,	     /* a disk changed bytes of a file here */
	BLOBS_GET_FORGOTTEN, /* given up, or gave way to another; text says why */
	BLOBS_SEED_STARTED,  /* what a get brought is given to others again */
	BLOBS_SEED_STOPPED,  /* and no more; text says why */
	BLOBS_GET_KEPT, /* a file of a followed share's folder is not weft's to change: text, its path */
	BLOBS_QUOTA_GLIDING, /* of a month's cap so much is used that the glide holds: text */
	BLOBS_QUOTA_REACHED, /* all of it is; text says of which */
	BLOBS_RATE_CHANGED,  /* another entry of a timetable is in force: text, which of which */
	BLOBS_EVENT_CNT,
};
struct blobs_event {
	enum blobs_event_kind kind;
	uint64_t id; /* of the import or get */
	const uint8_t *manifest_id;
	const uint8_t *peer_key;
	int err;
	const char *text;
	const struct blobs_import *import; /* of an event about an import, else NULL */
};

/* One that said that it serves what it has of id, and where it may be reached. */
struct blobs_member {
	uint8_t id[32]; /* of a manifest or a content */
	uint8_t key[MESH_KEY_LEN];
	struct addr from; /* where it said so */
	unsigned addr_cnt;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
};

struct blind_keys;
struct key_seal;

struct blobs_params {
	struct blobs_config config;
	const uint8_t *own_key;
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel *timers;
	struct random *random; /* for secrets of tables; NULL: they have none (tests) */
	struct mesh_seam mesh;
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx); /* seconds since 1970, for records; NULL: 0 */
	/* Seconds that local time is ahead of UTC at wall_s, in -86400 to 86400; NULL: 0. */
	int64_t (*utc_offset_s)(void *ctx, uint64_t wall_s);
	/*
	 * Is the node of key a member of the community of id, as far as store says? Any worker,
	 * of its own content. NULL: no node is one of any.
	 */
	bool (*admits)(struct store *store, const uint8_t id[static 32],
		       const uint8_t key[static MESH_KEY_LEN], uint64_t wall_s);
	/* Is what is bound to the community of id kept out of public records? NULL: it is. Any thread. */
	bool (*hides)(struct store *store, const uint8_t id[static 32]);
	/* The keys under which ids are blinded, as store says (scope.h). NULL: none are. Any worker. */
	int (*blind_keys)(struct store *store, const struct key_seal *seal, uint64_t wall_s,
			  struct blind_keys *keys);
	const struct key_seal *seal; /* of keys in the store, for blind_keys */
	/* Addresses of this node, sent to peers of its swarms; NULL: none. */
	unsigned (*own_addrs)(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
	void (*on_event)(void *ctx, const struct blobs_event *event); /* may be NULL */
	void (*on_served_changed)(void *ctx); /* peers may read something else now; may be NULL */
	void (*on_limits_changed)(void *ctx); /* others are in force; may be NULL */
	/* len bytes that key sent were verified and kept; may be NULL. */
	void (*on_verified)(void *ctx, const uint8_t key[static MESH_KEY_LEN], size_t len);
	/* len bytes of content were sent to key, by any worker. Home; may be NULL. */
	void (*on_sent)(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t len);
	/* A peer said that it serves content. Home; may be NULL. */
	void (*on_member)(void *ctx, const struct blobs_member *member);
	/*
	 * Servers only (blobs/serve/servers.h): posts a report, which home's struct blobs_servers
	 * gets. cause: the peer; without an address, peers together; NULL: the server itself.
	 */
	void (*report)(void *ctx, const struct mailbox_message *report,
		       const struct load_who *cause);
	unsigned worker_idx; /* servers only, from 1 on */
	void *ctx;
};

/*
 * blobs_new reads shares and gets from the store, registers its message
 * handlers and resumes gets that were running. 0, -errno or WEFT_E....
 */
WEFT_MUST_CHECK
int blobs_new(const struct blobs_params *params, struct blobs **out_content);
void blobs_free(struct blobs *content);
/* blobs_configure takes what can change at run time: share_cap, get_active_cap, item_cap, times. */
void blobs_configure(struct blobs *content, const struct blobs_config *config);
/* blobs_fd becomes readable when blobs_reap has work of import threads; -1: none. */
int blobs_fd(const struct blobs *content);
void blobs_reap(struct blobs *content, uint64_t now_ns);
/* blobs_is_hashing: jobs of imports are under way; without threads, blobs_reap runs them. */
bool blobs_is_hashing(const struct blobs *content);

/* blobs_note_member: another worker learned of member. */
void blobs_note_member(struct blobs *content, const struct blobs_member *member, uint64_t now_ns);
/* blobs_members: of those, at most BLOBS_MEMBERS_MAX; returns how many. */
#define BLOBS_MEMBERS_MAX 32u
unsigned blobs_members(struct blobs *content, const uint8_t id[static 32], uint64_t now_ns,
		       struct blobs_member out_members[static BLOBS_MEMBERS_MAX]);
/* blobs_member_cnt: nodes that lately said that they serve a manifest or a content. */
unsigned blobs_member_cnt(const struct blobs *content, const uint8_t id[static 32]);
/* blobs_gives: a whole file of content_id is here that the peer of key may read. Home. */
bool blobs_gives(struct blobs *content, const uint8_t content_id[static 32],
		 const uint8_t key[static MESH_KEY_LEN]);

/*
 * Sharing. blobs_share_add walks and hashes path (a folder or a file,
 * absolute), keeps it in place, and makes its manifest. progress is called
 * now and then, done once with a whole sentence in detail when it failed;
 * nothing is listed before it is durable.
 */
#define BLOBS_SKIPPED_LEN 4096
#define BLOBS_SKIPPED_MAX 32
struct blobs_import {
	uint64_t id;
	uint64_t file_cnt, file_done_cnt;
	uint64_t byte_cnt, byte_done_cnt;
	uint64_t reused_cnt; /* files known by path, size, mtime, inode */
	uint64_t skipped_symlink_cnt, skipped_special_cnt, skipped_unreadable_cnt, skipped_name_cnt,
		skipped_changed_cnt;
	char first_skipped[256]; /* an example, for people */
	/* The first of those that were skipped, "PATH: why", a NUL behind each; the rest is counted. */
	char skipped[BLOBS_SKIPPED_LEN];
	uint32_t skipped_len, skipped_told_cnt;
	uint8_t manifest_id[32]; /* set when done */
};
struct blobs_share_ask {
	const char *path;
	const char *title; /* NULL: last part of path */
	const char *only;  /* paths below it, each on a line; NULL or "": all of it */
	void (*progress)(void *arg, const struct blobs_import *import);
	void (*done)(void *arg, int err, const struct blobs_import *import, const char *detail);
	void *arg;
};
WEFT_MUST_CHECK
int blobs_share_add(struct blobs *content, const struct blobs_share_ask *ask, uint64_t now_ns,
		    uint64_t *out_import_id);
/* blobs_import_cancel: done follows with WEFT_ECANCELLED. 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int blobs_import_cancel(struct blobs *content, uint64_t import_id);

struct blobs_share {
	uint8_t manifest_id[32];
	const char *path;
	const char *title;
	uint64_t added_s;
	uint64_t item_cnt;
	uint64_t byte_cnt;
	uint64_t served_byte_cnt; /* since start */
	uint64_t changed_cnt;	  /* files noticed as changed */
	uint64_t
		bad_cnt; /* of them: their bytes became bad, until they are mended or shared anew */
	bool is_published; /* a revision of a share with a name (shares/publish/) */
};
/*
 * A blobs_share_iter walks the shares; false: behind the last. They may not change meanwhile; texts
 * are borrowed until they do.
 */
struct share;
struct blobs_share_iter {
	struct blobs *content;
	const struct share *at; /* NULL: before the first */
};
bool blobs_shares_next(struct blobs_share_iter *iter, struct blobs_share *out_share);
/* blobs_share_remove forgets the share; files stay. done after the commit. 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int blobs_share_remove(struct blobs *content, const uint8_t manifest_id[static 32],
		       void (*done)(void *arg, int err), void *arg);

/*
 * Fetching. target is an absolute directory, made if absent. The get is
 * durable when blobs_get_start calls done; it then goes on across
 * restarts until it ends or is cancelled.
 */
enum blobs_get_state {
	BLOBS_GET_QUEUED,
	BLOBS_GET_MANIFEST,
	BLOBS_GET_VERIFYING, /* what is on disk from an earlier run */
	BLOBS_GET_RECEIVING,
	BLOBS_GET_FINISHED,
	BLOBS_GET_STOPPED,    /* failed; err and detail say why; may be resumed */
	BLOBS_GET_TAKEN_BACK, /* cancelled */
	BLOBS_GET_PAUSED,     /* by blobs_get_pause, until it is resumed */
};
#define BLOBS_GET_NODES_MAX    8u
#define BLOBS_GET_RANGES_MAX   16u
#define BLOBS_GET_ONLY_LEN_MAX 4096u /* of all patterns, each with a NUL */
#define BLOBS_GET_PRIORITY_MAX 4u
#define BLOBS_GET_PRIORITY     2u /* of a get that names none */
/*
 * Whether what a get brought is given to others, and until when. A bound of 0 is none. sent:
 * bytes of its whole files; with since_s it is counted anew when seeding starts again after a
 * bound was reached. A program that is killed loses up to a minute of the count.
 */
#define BLOBS_SEED_PERCENT_MAX 100000000u
#define BLOBS_SEED_FOR_S_MAX   (100ull * 366 * 86400)
enum blobs_seed_end { BLOBS_SEED_GOES_ON, BLOBS_SEED_ASKED, BLOBS_SEED_RATIO, BLOBS_SEED_TIME };
struct blobs_seed {
	enum blobs_seed_end end;   /* why it stopped */
	bool has_percent, has_for; /* its own bounds; else those of the configuration */
	uint64_t percent, for_s;   /* in force */
	uint64_t sent_byte_cnt;	   /* in all */
	uint64_t counted_byte_cnt; /* of them against percent */
	uint64_t since_s;	   /* against for_s; 0: it has not finished */
};
/* Bytes [off, off + len) of the one file, less than 1 TiB of them: the get fails otherwise. */
struct blobs_range {
	uint64_t off, len;
};
/*
 * A get of a revision of a followed share, into the share's folder. It replaces what an earlier get
 * of the share wrote there, if unchanged since. Any other file stays, is reported (BLOBS_GET_KEPT)
 * and counted. When the get has finished, those earlier gets are forgotten.
 */
#define BLOBS_VERSIONS_MAX 1000u
struct blobs_folder {
	uint8_t share_id[32];
	uint64_t revision;
	bool is_mirror;	      /* what is in the revision no more goes */
	unsigned version_cnt; /* former revisions' files that are kept, below .weft-versions */
};
/*
 * blobs_gets_succeed: share_id is the successor of the followed share former_id. The gets of its
 * folder are those of share_id from now on; their records go into batch.
 */
void blobs_gets_succeed(struct blobs *content, struct store_batch *batch,
			const uint8_t former_id[static 32], const uint8_t share_id[static 32]);
/* Patterns as in blobs_get_ask.only; NULL with len 0: none. */
struct blobs_get_choice {
	const char *exclude; /* files that are not wanted, whatever only says */
	size_t exclude_len;
	const char *first; /* files that are fetched before others */
	size_t first_len;
	bool is_sequential; /* files, and their chunks, in order: to be read while they come */
};
struct blobs_get_ask {
	const struct link *link;       /* of a collection; or NULL, and then: */
	const uint8_t *manifest_id;    /* 32 bytes */
	const struct link_node *nodes; /* that may have it; others are looked for */
	unsigned node_cnt;	       /* with link: besides the one it names */
	const char *target;
	bool is_replacing;		  /* overwrite files that exist and differ */
	const struct blobs_range *ranges; /* only these; of a collection of one file */
	unsigned range_cnt;
	/*
	 * Only files that match one of these patterns, each with its NUL, one
	 * behind the other. A pattern with a '/' is one of whole paths, and ends in
	 * it to name all below a folder; others are of names. NULL: everything.
	 */
	const char *only;
	size_t only_len;
	struct blobs_get_choice choice;
	unsigned priority; /* up to BLOBS_GET_PRIORITY_MAX: begins earlier, is asked for more */
	const struct blobs_folder *folder; /* NULL: it is no followed share's */
};
struct blobs_get {
	uint64_t id;
	enum blobs_get_state state;
	enum blobs_get_state
		shown_state; /* for callers: an end, or a resumption, when it is durable */
	bool is_stored;	     /* it is durable; before that no caller learns of it */
	int err;
	const char *detail; /* for people: what, which object, why; "" while all is well */
	const uint8_t *manifest_id;
	const struct link_node *nodes; /* of its start, or added since */
	unsigned node_cnt;
	const char *target;
	const char *title;
	unsigned priority;
	const char *only; /* as asked for */
	size_t only_len;
	struct blobs_get_choice choice;
	uint64_t item_cnt, item_done_cnt; /* of those that are wanted, as far as they are known */
	uint64_t byte_cnt, byte_done_cnt; /* done: verified and written */
	uint64_t reused_byte_cnt;	  /* found on disk, copied from a duplicate, or zeros */
	uint64_t received_byte_cnt, bad_chunk_cnt;
	uint64_t started_ns, ended_ns;
	struct blobs_seed seed;
	const struct blobs_folder *folder; /* NULL: it is no followed share's */
	uint64_t kept_cnt; /* files that were not its own to change, in its last run */
	bool is_leaving;   /* blobs_get_forget began */
	uint8_t actual_key[MESH_KEY_LEN]; /* with WEFT_EWRONGKEY */
};
/*
 * blobs_get_start returns 0 with a new get in *out_id, or 1 with the one that does the same
 * already. A get that runs and does the same learns the nodes. Errors:
 *   WEFT_EBUSY      while garbage is collected
 *   WEFT_EEXISTS    a get with other options fills that target
 *   WEFT_EFULL
 *   WEFT_EMALFORMED a range, a pattern, a priority
 *   WEFT_EUNSAFE, WEFT_ETOOLARGE  the target
 *   -errno
 */
WEFT_MUST_CHECK
int blobs_get_start(struct blobs *content, const struct blobs_get_ask *ask, uint64_t now_ns,
		    uint64_t *out_id);
/*
 * blobs_set_blocker, at start: is_blocked is asked of each file that is to be fetched, by
 * its content. A get that wants one that it names stops with WEFT_EREFUSED.
 */
void blobs_set_blocker(struct blobs *content,
		       bool (*is_blocked)(void *ctx, const uint8_t content_id[static 32]),
		       void *ctx);
/* blobs_get_lookup: borrowed until the next call into content; NULL when unknown. */
const struct blobs_get *blobs_get_lookup(struct blobs *content, uint64_t id);
/*
 * A blobs_get_iter walks the gets, the oldest first; NULL: behind the last. They are borrowed as
 * from blobs_get_lookup. None may be started or forgotten meanwhile.
 */
struct blobs_get_iter {
	struct blobs *content;
	uint32_t idx; /* of the next */
};
const struct blobs_get *blobs_gets_next(struct blobs_get_iter *iter);
/*
 * blobs_get_cancel stops it. Staged files stay for blobs_get_resume, or go, also later, when the
 * get discards them. 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int blobs_get_cancel(struct blobs *content, uint64_t id, bool discards, uint64_t now_ns);
/* blobs_get_resume starts a stopped or paused get again. 0, WEFT_EABSENT or WEFT_EBUSY. */
WEFT_MUST_CHECK
int blobs_get_resume(struct blobs *content, uint64_t id, uint64_t now_ns);
/*
 * blobs_get_pause ends its requests and keeps what is staged, also across
 * restarts, until it is resumed. 0 (also when it is paused), WEFT_EABSENT, or
 * WEFT_EBUSY when it has ended.
 */
WEFT_MUST_CHECK
int blobs_get_pause(struct blobs *content, uint64_t id, uint64_t now_ns);
/* blobs_get_prioritise: 0, WEFT_EABSENT or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int blobs_get_prioritise(struct blobs *content, uint64_t id, unsigned priority, uint64_t now_ns);
/*
 * blobs_get_forget gives a get up. It is stopped, and what it staged goes. With deletes, the files
 * go that it wrote, if unchanged since. Then its record goes, and no peer is served from it any
 * more. It is durable when it begins: a restart goes on with it. done is called once, with 0 or
 * what went wrong with the folder or the store. The get is forgotten all the same, unless that is
 * WEFT_ECANCELLED: the node stops. Returns 0, WEFT_EABSENT or WEFT_EBUSY (it is leaving).
 */
struct blobs_forgotten {
	uint64_t removed_cnt, kept_cnt; /* files; kept: foreign, changed, or another get's by now */
	const char *first_kept;		/* a path below the target, or "" */
};
typedef void (*blobs_forgotten_fn)(void *arg, int err, const struct blobs_forgotten *forgotten);
struct blobs_forget_ask {
	uint64_t id;
	bool deletes;
	blobs_forgotten_fn done; /* NULL: no caller waits */
	void *arg;
};
WEFT_MUST_CHECK
int blobs_get_forget(struct blobs *content, const struct blobs_forget_ask *ask, uint64_t now_ns);
/*
 * blobs_get_seed changes what is not NULL. 0, WEFT_EABSENT, WEFT_EBUSY (it is leaving), or
 * WEFT_EMALFORMED (a bound). percent and for_s: UINT64_MAX is that of the configuration.
 */
struct blobs_seed_ask {
	const bool *is_stopped;
	const uint64_t *percent, *for_s;
};
WEFT_MUST_CHECK
int blobs_get_seed(struct blobs *content, uint64_t id, const struct blobs_seed_ask *ask,
		   uint64_t now_ns);
/* blobs_get_is_seeded: peers may have what of the get is here. */
bool blobs_get_is_seeded(const struct blobs_get *get);
/*
 * blobs_get_supersede stops a get of a followed share for a newer revision. The get stays,
 * stopped, with nothing staged, so that the files it wrote are known until the newer one has
 * finished. 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int blobs_get_supersede(struct blobs *content, uint64_t id, uint64_t now_ns);
/*
 * blobs_get_choose changes which files are fetched and in which order, also while the get runs.
 * A running get begins again then, with the verified chunks on disk. A get that has finished
 * goes on when it is to bring other files. Fetched files that are not wanted any more stay. done
 * is called when the choice is durable, not inside the call. Returns 0, -ENOMEM, or
 *   1               it is so already; done is not called
 *   WEFT_EABSENT    there is no such get
 *   WEFT_EMALFORMED a pattern; patterns for ranges
 *   WEFT_EBUSY      taken back, leaving, or another change is not durable yet
 *   WEFT_EREFUSED   into a followed share's folder, which gets all of it
 */
struct blobs_get_selection {
	const char *only; /* as blobs_get_ask's */
	size_t only_len;
	struct blobs_get_choice choice;
	void (*done)(void *arg, int err); /* NULL: no caller waits */
	void *arg;
};
WEFT_MUST_CHECK
int blobs_get_choose(struct blobs *content, uint64_t id,
		     const struct blobs_get_selection *selection, uint64_t now_ns);
struct swarm;
/* blobs_get_swarm: the sources that a get asks (swarm/swarm.h); NULL: it does not run. */
const struct swarm *blobs_get_swarm(const struct blobs *content, uint64_t id);

/*
 * The rows to which no share and no get refers: objects, chunk lists, manifests. plan only
 * counts; run deletes and compacts. done, which may be NULL, receives the outcome.
 */
struct blobs_gc {
	uint64_t object_cnt, blob_cnt, path_cnt;
	uint64_t byte_cnt; /* in segments; files in place are never touched */
	uint64_t mark_max; /* places that ids of kept blobs took, at most */
};
WEFT_MUST_CHECK
int blobs_gc(struct blobs *content, bool run,
	     void (*done)(void *arg, int err, const struct blobs_gc *gc), void *arg);

/*
 * blobs_check_files reads all files that are recorded, at once and at full speed, and compares
 * them with their records. These are the files of shares and those that gets brought. found is
 * called for each file that is bad (with the event and effect of BLOBS_FILE_BAD) or was passed
 * over. progress is called now and then. done is called once, with -errno or WEFT_EDAMAGED if
 * the records cannot be read. None comes inside the call. 0, or WEFT_EBUSY: one is under way.
 */
struct blobs_files {
	uint64_t file_cnt, byte_cnt; /* looked at; read of them */
	uint64_t total_cnt;	     /* files recorded when it began */
	uint64_t bad_cnt;	     /* their bytes are not what was recorded */
	uint64_t passed_cnt;	     /* changed since, gone, or cannot be read */
};
struct blobs_file_finding {
	const char *path; /* borrowed for the call */
	int err;	  /* WEFT_EDAMAGED or -EIO: bad; WEFT_ECHANGED, -errno: passed over */
	bool is_bad;
	bool is_got; /* the get that brought it fetches it again, if it is bad */
};
struct blobs_files_ask {
	void (*found)(void *arg, const struct blobs_file_finding *finding);
	void (*progress)(void *arg, const struct blobs_files *files);
	void (*done)(void *arg, int err, const struct blobs_files *files);
	void *arg;
};
WEFT_MUST_CHECK
int blobs_check_files(struct blobs *content, const struct blobs_files_ask *ask, uint64_t now_ns);
/*
 * blobs_bad_files: how many files are known to be bad, of shares and of
 * gets, and the path of one of them. They stay known until they are
 * fetched again, shared anew, or found right by a check or the slow round.
 */
unsigned blobs_bad_files(struct blobs *content, char *out_path, size_t cap);
/* blobs_check_files_cancel: no callback comes any more. */
void blobs_check_files_cancel(struct blobs *content);

/*
 * The items of a manifest that is here, in order and with those of its parts. blobs_items_each
 * calls fn for at most cnt_max of them, from number first on. fn borrows for the call. 0,
 * WEFT_EABSENT (it, or a part, is not here), WEFT_EDAMAGED, -errno. Reads from the disk: for
 * people, not for packets.
 */
struct blobs_item {
	const uint8_t *content_id;
	uint64_t size;
	const char *path;
};
struct blobs_items {
	uint64_t first, cnt_max;
	void (*fn)(void *arg, const struct blobs_item *item);
	void *arg;
	uint64_t told_cnt, total_cnt; /* set */
};
WEFT_MUST_CHECK
int blobs_items_each(struct blobs *content, const uint8_t manifest_id[static 32],
		     struct blobs_items *items);

/* Calls that use a buffer, and calls that wait for one. */
enum blobs_pool {
	BLOBS_POOL_CHUNKS,
	BLOBS_POOL_MANIFESTS,
	BLOBS_POOL_CHUNKS_WAITING,
	BLOBS_POOL_MANIFESTS_WAITING,
	BLOBS_POOL_HAVES,
	BLOBS_POOL_PROOFS,
	BLOBS_POOL_CNT
};
struct blobs_stats {
#define FIGURE FIGURE_FIELD
#include "blobs/blobs_counters.def"
	struct fair_view pools[BLOBS_POOL_CNT];
	struct addr pools_largest[BLOBS_POOL_CNT]; /* of the account that holds most, or none */
};
void blobs_stats(const struct blobs *content, struct blobs_stats *out_stats);

/* blobs_path_of: a path where a content is, for people; false: it is nowhere here. */
bool blobs_path_of(const struct blobs *content, const uint8_t content_id[static 32],
		   char path[static BLOBS_PATH_CAP]);

#endif
