/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_FOLLOW_FOLLOW_STATE_H
#define WEFT_SHARES_FOLLOW_FOLLOW_STATE_H

#include "base/list.h"
#include "base/timer.h"
#include "follow.h"
#include "shares/head_seen.h"
#include "blobs/retainer.h"

struct cbor_reader;
struct store_batch;
struct store_snapshot;
struct sync;

/*
 * Private to follow/. follow.c has the table and its changes, follow_record.c its rows,
 * follow_use.c the part of it that counts. follow_sync.c runs a sync. The parts of a sync are
 * follow_sync_head.c (which node knows a head, and is it newer), follow_sync_manifest.c (the
 * revision's manifests) and follow_sync_blocklist.c.
 */

/* A share that is followed, or (is_passing) one whose head is asked for once. */
struct followed {
	struct follow view; /* first; its pointers point below */
	struct follows *follows;
	struct list_node node;	  /* of follows->all, if it is listed */
	struct list_node turn;	  /* of follows->waiting, while it waits for a place */
	struct timer timer;	  /* its next sync */
	struct sync *sync;	  /* NULL: none runs */
	struct list_node callers; /* follow_sync: called when the next sync, or this one, ends */
	bool is_passing;
	bool is_leaving; /* a removal was submitted */
	bool is_head_unsaved;
	unsigned move_cnt;     /* to another key, since a revision was taken */
	bool is_blocklist_due; /* the newest revision has one that could not be had yet */
	unsigned fail_cnt;     /* syncs without success, in a row */
	uint64_t put_ns; /* the head is put again then; 0: it was not seen in the overlay yet */
	struct overlay_run *put_run; /* NULL: none */
	unsigned row_cnt;	     /* rows of it that were submitted */

	char name[FOLLOW_NAME_CAP];
	char title[MANIFEST_TITLE_CAP];
	char *folder;	   /* NULL: none */
	char *description; /* NULL: none */
	char detail[FOLLOW_DETAIL_CAP];
	uint8_t recommended[MANIFEST_RECOMMENDED_MAX][SHARE_ID_LEN];
	struct link_node hints[FOLLOW_HINTS_MAX];
	struct head_seen seen; /* view.head as it was signed */
	struct {
		uint8_t *ids; /* 32 bytes each, of a root; NULL: none */
		size_t cnt;
	} parts[FOLLOW_REVISIONS_MAX]; /* of view.revisions */

	struct blocklist blocklist;
	uint8_t blocklist_id[32];   /* the content of it that is in use */
	bool is_blocking;	    /* it counts in blocked_stamp: */
	uint8_t blocking_id[32];    /* this one */
	struct share_head told_old; /* the last old head that raised an event; seq 0: none */
	struct share_head told_fork;
	uint8_t bad_manifest_id[32]; /* is no revision of the share: not fetched again */
};

struct follows {
	struct follows_params params;
	struct list_node all;
	struct list_node adding;  /* not durable yet */
	struct list_node waiting; /* followed, whose time has come, in order */
	uint32_t cnt;		  /* of all and adding */
	uint32_t sync_cnt;
	uint32_t job_cnt;
	uint64_t now_ns;	  /* of the last turn */
	struct list_node passing; /* resolves under way */
	uint32_t passing_cnt;
	struct list_node listings; /* asks for lists under way */
	uint32_t listing_cnt;
	bool is_started, is_stopped;
	bool are_folders_due; /* gets of folders ended, or what they are of changed */
	bool is_beginning;    /* syncs_begin runs */
	struct follows_stats stats;
	uint64_t blocked_stamp; /* of which blocklists count: another when one more or less does */
};

#define followed_of(member_node, member) container_of(member_node, struct followed, member)

/* One that waits for a sync to end. */
struct follow_sync {
	struct list_node node;
	struct follow_caller caller;
};

static inline uint64_t follows_wall_s(const struct follows *follows)
{
	return follows->params.wall_s(follows->params.ctx);
}

#define FOLLOW_RESOLVES_MAX 64u

/* follow.c */
struct followed *shares_followed_new(struct follows *follows,
				     const uint8_t share_id[static SHARE_ID_LEN]);
struct followed *shares_follow_list_lookup(const struct list_node *list,
					   const uint8_t share_id[static SHARE_ID_LEN]);
struct followed *shares_follows_lookup(const struct follows *follows,
				       const uint8_t share_id[static SHARE_ID_LEN]);
void shares_followed_free(struct followed *followed);
/* follow_change.c: puts the row as it is now, after two were under way at once. */
void shares_followed_row_again(struct followed *followed);

/*
 * follow_record.c: a row of STORE_FOLLOWS, deterministic CBOR:
 *	{0 name, 1 tier, 2 weight, 3 followed s, 4 share key, 5 hints [[key, addresses]...],
 *	 6 revisions [[seq, manifest id]...], 7 blocklist's content id?, 9 folder?, 10 mirror,
 *	 11 versions, 12 moves?}
 * STORE_HEADS has the bytes of the newest head that was ever seen of a share.
 */
#define FOLLOW_ROW_CAP 8192
/*
 * shares_follow_row_put puts followed, with revision (NULL: none) before those it has, and counts
 * it in row_cnt.
 */
void shares_follow_row_put(struct store_batch *batch, struct followed *followed,
			   const struct follow_revision *revision, const uint8_t *blocklist_id);
/* shares_follow_row_parse fills what a row holds; 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int shares_follow_row_parse(const uint8_t *data, size_t len, struct followed *followed);
/* shares_follow_load reads what else is known: head, manifests, blocklist. 0 or -errno. */
WEFT_MUST_CHECK
int shares_follow_load(struct followed *followed, struct store_snapshot *snapshot);
/* shares_followed_see takes the newest head ever seen that the store knows, if it is newer. */
void shares_followed_see(struct followed *followed, struct store_snapshot *snapshot);
/*
 * shares_followed_describe takes from a manifest what callers see of the newest revision. 0 or
 * -ENOMEM.
 */
WEFT_MUST_CHECK
int shares_followed_describe(struct followed *followed, const struct manifest *manifest);

/*
 * follow_use.c: shares_followed_refresh judges which parts of a share count now, and reports
 * changes; shares_follows_refresh all of them, after a blocklist changed. is_told: on_changed is
 * called though nothing but the revision, tier or weight has changed.
 */
void shares_followed_refresh(struct followed *followed, bool is_told);
/* shares_followed_recall: events of an earlier run are not raised again. At start. */
void shares_followed_recall(struct followed *followed);
void shares_follows_refresh(struct follows *follows);
void shares_followed_tell(struct followed *followed, enum follow_event_kind kind, uint64_t seq,
			  const uint8_t *peer_key, int err);

/*
 * follow_folder.c: shares_followed_folder_set takes the path of a change: 0 or -ENOMEM.
 * shares_follows_run_folders begins what folders lack. shares_followed_folder_retry: there is
 * news of the share, so a stopped get goes on.
 */
WEFT_MUST_CHECK
int shares_followed_folder_set(struct followed *followed, const char *folder);
void shares_follows_run_folders(struct follows *follows);
void shares_followed_folder_retry(struct followed *followed);

/* list_ask.c: shares_follow_listings_stop ends all with WEFT_ECANCELLED. */
void shares_follow_listings_stop(struct follows *follows);

/* follow_sync.c: shares_followed_schedule lets a sync begin at at_ns; shares_followed_stop ends one, untold. */
void shares_followed_schedule(struct followed *followed, uint64_t at_ns);
void shares_followed_stop(struct followed *followed);
/* shares_sync_footprint: bytes of one that runs. */
size_t shares_sync_footprint(void);
void shares_followed_timer_fire(struct timer *timer, uint64_t now_ns);
/* shares_sync_kept_each: as blobs_retainer.manifests_each, of what is being fetched. */
bool shares_sync_kept_each(const struct followed *followed, blobs_holder_fn fn, void *arg);

#endif
