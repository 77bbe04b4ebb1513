/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_WRITE_SOCIAL_WRITE_STATE_H
#define WEFT_SOCIAL_WRITE_SOCIAL_WRITE_STATE_H

#include "base/list.h"
#include "social/people/circles.h"
#include "social/people/person_follows.h"
#include "social/people/personas.h"
#include "social/write/post_make.h"
#include "social/write/social_write.h"

/* Private to this room. */

struct social_write {
	struct social_write_params params;
	struct list_node runs;
	bool is_stopped;
	struct social_write_stats stats;
};

/* The readers of a draft, as people, circles and follows are now. */
struct write_readers {
	uint8_t keys[VISIBILITY_RECIPIENTS_MAX + 1][NODE_KEY_LEN];
	unsigned cnt; /* above VISIBILITY_RECIPIENTS_MAX: too many */
	int err;
};
/* social_readers_resolve: 0, WEFT_EABSENT, WEFT_EFULL, WEFT_EREFUSED or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int social_readers_resolve(const struct social_write *write, const struct write_draft *draft,
			   struct write_readers *out_readers);

/* --- runs --- */

struct write_waiter {
	struct write_waiter *next;
	write_done_fn done;
	void *arg;
};
struct write_run {
	struct social_write *write;
	struct list_node node;
	uint8_t logical_id[POST_LOGICAL_ID_LEN];
	uint8_t id[POST_ID_LEN]; /* of the first post */
	struct write_waiter first, *more;
	unsigned part_cnt;		 /* still to be answered, and one while they are made */
	int err;			 /* the first one */
	struct write_readers *left_word; /* those of a direct message, or NULL */
	uint64_t now_ns;		 /* when it began */
};

/* social_run_new: NULL without memory. */
struct write_run *social_run_new(struct social_write *write, write_done_fn done, void *arg);
/* social_part_end: one of part_cnt has ended. The last one ends the run. */
void social_part_end(struct write_run *run, int err);
/* social_part_taken: likewise, as the intake says. */
void social_part_taken(void *arg, enum intake_verdict verdict, const uint8_t *id);

/* What is being made, between its draft and its bytes. */
struct post_work {
	struct social_write *write;
	const struct write_draft *draft;
	const struct node_key *author;
	const uint8_t *supersedes;
	uint64_t time_ms;
	struct write_run *run;
	struct write_readers *readers;
	char *marked; /* the text of a private post with what goes before it */
	struct post_making making;
	uint64_t now_ns;
};

/*
 * social_work_run makes and gives the post of a work whose draft, author, time and run are set. An error
 * before anything was given is returned, and the run is gone untold. A later one, of a shard, is the run's.
 */
WEFT_MUST_CHECK
int social_work_run(struct post_work *work);

#endif
