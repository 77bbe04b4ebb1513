/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_PUBLISH_PUBLISH_STATE_H
#define WEFT_SHARES_PUBLISH_PUBLISH_STATE_H

#include "base/thread/jobs.h"
#include "base/timer.h"
#include "blobs/import/import.h"
#include "shares/head_ask.h"
#include "publish.h"

struct holder_ask;
struct node_key;
struct store_batch;
struct store_item;

/*
 * Private to publish/. publish.c has the table, publish_record.c its rows, revise.c makes
 * revisions, republish.c asks the overlay for heads and gives it own ones, head_holders.c asks
 * nodes.
 */

/* The state of a revision beside the part that callers see. */
struct revision_parts {
	uint8_t digest[32]; /* blobs_manifest_builder_digest */
	uint8_t *ids;	    /* 32 bytes each; NULL: it has no parts */
	size_t cnt;
};

enum revise_kind { REVISE_IMPORT, REVISE_SIGN, REVISE_REVOKE, REVISE_ROTATE };

/* A revision on its way. */
struct revise {
	struct publication *publication;
	enum revise_kind kind;
	struct publish_ask ask; /* settings points to settings */
	struct publish_settings settings;
	struct timer step; /* goes on in a turn of its own */
	uint64_t import_id;
	bool is_importing, is_held;
	bool was_asked, is_unchanged;
	struct publication *successor; /* of REVISE_ROTATE, once it is on its way into the store */

	struct job job; /* reads the manifest that is signed again */
	uint8_t read_id[32];
	uint8_t *bytes;
	size_t len;
	int read_err;

	/* Signed and on its way into the store. */
	struct publish_revision revision;
	struct revision_parts parts;
	struct head_seen head;
	int err;
	char detail[256];
};

struct publication {
	struct published view; /* first; its pointers point below */
	struct publisher *publisher;
	struct publication *next;
	struct node_key *key;
	struct publish_settings settings;
	struct publish_revision *revisions; /* oldest first, at most revision_cap */
	struct revision_parts *parts;	    /* of each */
	uint32_t revision_cap;
	struct head_seen newest;
	struct manifest_tag tags[MANIFEST_TAGS_MAX]; /* of the item that is labelled */
	struct revise *revise;			     /* NULL: none is being made */
	struct publish_ask first; /* waits for the first revision, which republish.c begins */

	struct timer timer; /* the head is to be put, or the revision to be renewed */
	struct overlay_run *get, *put;
	struct holder_ask *holders; /* under way; NULL: no node is asked */
	unsigned holder_cnt;
	unsigned wait_cnt;	/* answers that are missing before the newest is known */
	bool was_answered;	/* a node answered */
	struct head_seen heard; /* the newest of the answers; seq 0: none */
	bool is_asked;		/* a revision waits for them */
	bool is_put_due;	/* an own head was put nowhere yet */
	unsigned fail_cnt;	/* puts in a row that no node took */

	bool is_seal_due;		/* its key lies unsealed in the store */
	struct publisher_caller caller; /* of a creation or removal under way */
	bool is_leaving;
};

struct publisher {
	struct publisher_params params;
	struct publication *first; /* listed */
	struct publication *adding;
	uint32_t cnt; /* of both */
	bool is_stopped;
};

static inline uint64_t publisher_wall_s(const struct publisher *publisher)
{
	return publisher->params.wall_s(publisher->params.ctx);
}
/* shares_publisher_ahead_s: by how much dated_s is ahead of this node's clock; 0: at most HEAD_SKEW_S. */
uint64_t shares_publisher_ahead_s(const struct publisher *publisher, uint64_t dated_s);

/* publish.c */
struct publication *shares_publication_find(const struct publisher *publisher,
					    const uint8_t share_id[static SHARE_ID_LEN]);
void shares_publication_tell(struct publication *publication, enum publish_event_kind kind,
			     uint64_t seq, int err);
/* shares_publication_refresh brings the view up to date. */
void shares_publication_refresh(struct publication *publication);
/* shares_settings_check: 0, WEFT_EMALFORMED, or WEFT_EEXISTS: the name is another's than own's. */
WEFT_MUST_CHECK
int shares_settings_check(const struct publisher *publisher,
			  const struct publish_settings *settings, const struct publication *own);
/* shares_publication_own: the newest revision made here, or NULL. */
const struct publish_revision *shares_publication_own(const struct publication *publication);

/*
 * shares_publication_put_removal puts into batch that the newest revision made here is not
 * shared any more. shares_publication_unlist takes it off the list, when that is committed or
 * will be.
 */
void shares_publication_put_removal(const struct publication *publication,
				    struct store_batch *batch);
void shares_publication_unlist(const struct publication *publication);

/*
 * publish_record.c, rows in deterministic CBOR:
 *	STORE_PUBLISHED	{0 name, 1 seed (crypto/key_seal.h), 2 path?, 3 title?, 4 description?, 5 public,
 *			 6 communities[], 7 recommended[], 8 rules?, 9 only?}
 *	STORE_REVISIONS	{0 manifest id, 1 created s, 2 expires s, 3 items, 4 bytes, 5 digest}
 */
void shares_record_put_settings(struct store_batch *batch, const struct publication *publication,
				const struct publish_settings *settings);
void shares_record_put_revision(struct store_batch *batch, const struct publication *publication,
				const struct publish_revision *revision,
				const struct revision_parts *parts);
void shares_record_delete_revision(struct store_batch *batch, const struct publication *publication,
				   uint64_t seq);
/* A share's row; the seed of its key, as it is sealed, is borrowed of the bytes. */
struct publish_settings_row {
	struct publish_settings settings;
	const uint8_t *seed;
	size_t seed_len;
};
/* record_parse_* fill what a row holds of what the caller zeroed. 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int shares_record_parse_settings(const void *bytes, size_t len,
				 struct publish_settings_row *out_row);
WEFT_MUST_CHECK
int shares_record_parse_revision(const struct store_item *item, struct publish_revision *revision,
				 uint8_t digest[static 32]);
/* shares_record_load reads all publications: 0, WEFT_EDAMAGED, WEFT_ESEALED or -errno. */
WEFT_MUST_CHECK
int shares_record_load(struct publisher *publisher);
/* shares_record_seal writes rows again whose keys are to be sealed; if it cannot, at the next start. */
void shares_record_seal(struct publisher *publisher);

/* publish.c: shares_publication_new makes one that is not listed; takes key on success. NULL: no memory. */
struct publication *shares_publication_new(struct publisher *publisher, struct node_key *key,
					   const struct publish_settings *settings);
void shares_publication_free(struct publication *publication);
/*
 * shares_publication_succeed makes the publication that takes the name of own and all its
 * settings but the key, and puts its row into batch. *out_was are the settings that own has from
 * then on. The new one is added until shares_publication_succeeded, with the batch's outcome,
 * lists it or frees it. 0, WEFT_EFULL (share_cap) or -ENOMEM.
 */
WEFT_MUST_CHECK
int shares_publication_succeed(const struct publication *own, struct store_batch *batch,
			       struct publish_settings *out_was,
			       struct publication **out_successor);
void shares_publication_succeeded(struct publication *successor, int err);
/* shares_publication_push adds the newest revision and takes parts' ids; the oldest beyond the cap goes. */
void shares_publication_push(struct publication *publication,
			     const struct publish_revision *revision, struct revision_parts *parts);

/*
 * republish.c: shares_keep_soon lets overlay and holders be asked for the newest head in a
 * moment. shares_keep_now lets the own head be put in the next turn. shares_keep_ask asks.
 * shares_revise_go_on follows if a revision waits for it; else the newest head there is, is put.
 * shares_keep_hear takes a head that a node gave. shares_keep_answered notes that one answer
 * less is missing.
 */
void shares_keep_fire(struct timer *timer, uint64_t now_ns);
void shares_keep_soon(struct publication *publication, uint64_t now_ns);
void shares_keep_now(struct publication *publication);
void shares_keep_ask(struct publication *publication, uint64_t now_ns);
void shares_keep_hear(struct publication *publication, const struct head_seen *seen);
void shares_keep_answered(struct publication *publication, bool was_answered, uint64_t now_ns);
void shares_keep_stop(struct publication *publication);
/* shares_keep_end: it was revoked, so its newest revision is not shared any more; the files stay. */
void shares_keep_end(struct publication *publication);

/* head_holders.c: shares_holders_ask adds those it asks to wait_cnt; shares_holders_end asks them no more. */
void shares_holders_ask(struct publication *publication, uint64_t now_ns);
void shares_holders_end(struct publication *publication);

/*
 * revise.c: shares_revise_begin begins a revision: 0, WEFT_EBUSY or -ENOMEM. shares_revise_go_on: the
 * newest head was asked for. shares_revise_stop ends it, untold.
 */
WEFT_MUST_CHECK
int shares_revise_begin(struct publication *publication, enum revise_kind kind,
			const struct publish_ask *ask, uint64_t now_ns);
void shares_revise_go_on(struct publication *publication, bool was_asked);
void shares_revise_stop(struct publication *publication);
/* shares_revise_seq_next: one more than any number that was seen; 0: used up, or revoked. */
uint64_t shares_revise_seq_next(const struct publication *publication);
/*
 * shares_revise_fail notes the first error; shares_revise_end reports the outcome and frees the
 * revision.
 */
__attribute__((format(printf, 3, 4))) void shares_revise_fail(struct revise *revise, int err,
							      const char *fmt, ...);
void shares_revise_end(struct publication *publication, const struct blobs_import *import);
/* shares_revise_stored: arg is the publication whose revision's batch was committed, or not. */
void shares_revise_stored(void *arg, int err);

/*
 * sign.c: shares_sign_seal, of the publication ctx, is what import_seal.seal is. shares_sign_begin signs
 * the revision that is there once more, or only keeps the settings when there is none.
 */
WEFT_MUST_CHECK
int shares_sign_seal(void *ctx, struct import_sealed *io_sealed);
void shares_sign_begin(struct publication *publication);

#endif
