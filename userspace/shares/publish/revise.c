/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A revision's way:
 *
 *	begin -> republish.c asks for the newest head -> go on (a turn of its own)
 *	  import  blobs/import reads the tree and has what it collected sealed here
 *	  sign    the revision that is there is read back and signed anew
 *	  revoke  nothing is signed but the last head
 *	  rotate  likewise, and it names the key of a share that is made with it: that goes
 *		  on with an import
 *	-> one batch -> stored -> the head is put -> done
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "blobs/retainer.h"
#include "base/container_of.h"
#include "blobs/import/import.h"
#include "publish_state.h"
#include "store/store.h"

void shares_revise_fail(struct revise *revise, int err, const char *fmt, ...)
{
	va_list args;

	if (revise->err < 0)
		return;
	revise->err = err;
	va_start(args, fmt);
	vsnprintf(revise->detail, sizeof(revise->detail), fmt, args);
	va_end(args);
}

uint64_t shares_revise_seq_next(const struct publication *publication)
{
	uint64_t seen = publication->newest.head.seq;

	return seen < HEAD_SEQ_REVOKED - 1 ? seen + 1 : 0;
}

/* --- the end --- */

static uint32_t parts_new(const struct revision_parts *before, const struct revision_parts *parts)
{
	uint32_t new_cnt = 0;

	/* Parts keep their order, so what is the same is found in one pass. */
	for (size_t i = 0, at = 0; i < parts->cnt; i++) {
		size_t k = at;

		while (k < before->cnt &&
		       memcmp(before->ids + 32 * k, parts->ids + 32 * i, 32) != 0)
			k++;
		if (k < before->cnt)
			at = k + 1;
		else
			new_cnt++;
	}
	return new_cnt;
}

/* A durable revision becomes visible. */
static void revision_take(struct publication *publication, struct revise *revise,
			  struct publish_outcome *outcome)
{
	static const struct revision_parts none;
	uint32_t cnt = publication->view.revision_cnt;

	outcome->part_cnt = (uint32_t)revise->parts.cnt + 1;
	outcome->part_new_cnt =
		parts_new(cnt ? &publication->parts[cnt - 1] : &none, &revise->parts) + 1;
	publication->settings = revise->settings;
	publication->newest = revise->head;
	publication->view.holder_cnt = 0;
	shares_publication_push(publication, &revise->revision, &revise->parts);
	blobs_holder_changed(publication->publisher->params.content);
}

static void revise_take(struct publication *publication, struct revise *revise,
			struct publish_outcome *outcome)
{
	if (revise->kind == REVISE_REVOKE) {
		publication->newest = revise->head;
		publication->view.holder_cnt = 0;
		shares_publication_unlist(publication);
	} else if (revise->kind == REVISE_ROTATE) {
		publication->settings = revise->settings;
		publication->newest = revise->head;
		publication->view.holder_cnt = 0;
		shares_publication_unlist(publication);
	} else if (revise->revision.seq) {
		revision_take(publication, revise, outcome);
	} else {
		publication->settings = revise->settings; /* there was nothing to sign */
	}
}

/* The new share has what the old one had; true: done will be called when it is published. */
static bool successor_begin(struct revise *revise)
{
	struct publication *successor = revise->successor;

	if (!successor)
		return false;
	shares_publication_succeeded(successor, revise->err);
	if (revise->err < 0 || !successor->settings.path[0])
		return false;
	successor->first = revise->ask;
	timer_set(successor->publisher->params.timers, &successor->timer, 0);
	return true;
}

void shares_revise_end(struct publication *publication, const struct blobs_import *import)
{
	struct revise *revise = publication->revise;
	struct publish_outcome outcome = {
		.err = revise->err,
		.detail = revise->detail,
		.was_asked = revise->was_asked,
		.is_unchanged = revise->is_unchanged,
		.import = import,
	};
	bool is_new = revise->err == 0 && !revise->is_unchanged;

	publication->revise = NULL;
	timer_cancel(publication->publisher->params.timers, &revise->step);
	if (revise->is_held)
		blobs_holder_end(publication->publisher->params.content);
	if (is_new)
		revise_take(publication, revise, &outcome);
	else if (revise->is_unchanged)
		publication->settings = revise->settings; /* another path leads to the same */
	outcome.revision = shares_publication_own(publication);
	shares_publication_refresh(publication);
	if (is_new && publication->newest.head.seq) {
		shares_publication_tell(publication,
					shares_head_is_revoked(&publication->newest.head)
						? PUBLISH_WAS_REVOKED
						: PUBLISH_REVISED,
					publication->newest.head.seq, 0);
		shares_keep_now(publication);
	} else if (revise->err < 0 && revise->err != WEFT_ESTALE && !revise->ask.done &&
		   outcome.revision) {
		/* A revision behind is renewed by the later publisher. */
		shares_publication_tell(publication, PUBLISH_RENEW_ERROR, outcome.revision->seq,
					revise->err);
	}
	if (!successor_begin(revise) && revise->ask.done)
		revise->ask.done(revise->ask.arg, &outcome);
	free(revise->parts.ids);
	free(revise->bytes);
	free(revise);
}

void shares_revise_stored(void *arg, int err)
{
	struct publication *publication = arg;

	if (publication->publisher->is_stopped)
		return;
	if (err < 0)
		shares_revise_fail(publication->revise, err, "cannot store it: %s",
				   weft_err_text(err));
	shares_revise_end(publication, NULL);
}

/* --- import --- */

static void label(void *ctx, struct manifest_item *item)
{
	struct publication *publication = ctx;

	shares_label_item(publication->revise->settings.rules, item, publication->tags);
}

static void import_progress(void *arg, const struct blobs_import *import)
{
	struct revise *revise = ((struct publication *)arg)->revise;

	if (revise->ask.progress)
		revise->ask.progress(revise->ask.arg, import);
}

static void import_done(void *arg, int err, const struct blobs_import *import, const char *detail)
{
	struct publication *publication = arg;

	publication->revise->is_importing = false;
	if (err < 0)
		shares_revise_fail(publication->revise, err, "%s", detail);
	shares_revise_end(publication, import);
}

static void import_begin(struct publication *publication, uint64_t now_ns)
{
	struct revise *revise = publication->revise;
	const struct blobs_share_ask ask = {
		.path = revise->settings.path,
		.title = revise->settings.title[0] ? revise->settings.title : revise->settings.name,
		.only = revise->settings.only,
		.progress = import_progress,
		.done = import_done,
		.arg = publication,
	};
	const struct import_seal sealing = {label, shares_sign_seal, publication};
	int err = blobs_import_add(publication->publisher->params.content, &ask, &sealing, now_ns,
				   &revise->import_id);

	if (err < 0)
		shares_revise_fail(revise, err, "cannot read the files: %s", weft_err_text(err));
	else
		revise->is_importing = true;
}

/* --- revoking --- */

static void revoke_begin(struct publication *publication)
{
	struct store *store = publication->publisher->params.store;
	struct revise *revise = publication->revise;
	const struct share_head head = {.seq = HEAD_SEQ_REVOKED,
					.updated_s = publisher_wall_s(publication->publisher)};
	struct store_batch *batch = store_batch_new(store);
	int err;

	shares_head_seen_write(publication->key, &head, &revise->head);
	shares_head_seen_put(batch, &revise->head);
	shares_publication_put_removal(publication, batch);
	err = store_submit(store, batch, shares_revise_stored, publication);
	if (err < 0) {
		store_batch_free(batch);
		shares_revise_fail(revise, err, "cannot store it: %s", weft_err_text(err));
	}
}

/*
 * All of it is one commit. It says that the old key is over and names the successor. It puts the
 * new key under the name, and gives the old share its name from now on. The first revision of
 * the new key follows. When it was not made, it is made at the next start (republish.c).
 */
static void rotate_begin(struct publication *publication)
{
	struct store *store = publication->publisher->params.store;
	struct revise *revise = publication->revise;
	struct share_head head = {.seq = HEAD_SEQ_REVOKED,
				  .updated_s = publisher_wall_s(publication->publisher),
				  .has_successor = true};
	struct store_batch *batch = store_batch_new(store);
	int err = shares_publication_succeed(publication, batch, &revise->settings,
					     &revise->successor);

	if (err == 0) {
		memcpy(head.successor, revise->successor->view.share_key, sizeof(head.successor));
		shares_head_seen_write(publication->key, &head, &revise->head);
		shares_head_seen_put(batch, &revise->head);
		shares_record_put_settings(batch, publication, &revise->settings);
		shares_publication_put_removal(publication, batch);
		err = store_submit(store, batch, shares_revise_stored, publication);
	}
	if (err == 0)
		return;
	store_batch_free(batch);
	shares_revise_fail(revise, err, "%s",
			   err == WEFT_EFULL
				   ? "there are as many shares as may be published (share_cap)"
				   : weft_err_text(err));
}

/* --- the begin --- */

static void step_fire(struct timer *timer, uint64_t now_ns)
{
	struct revise *revise = container_of(timer, struct revise, step);
	struct publication *publication = revise->publication;

	shares_publication_refresh(publication);
	if (publication->view.state == PUBLISH_REVOKED) {
		shares_revise_fail(revise, WEFT_EREFUSED,
				   "its key was revoked: nothing can be published by it any more");
	} else if (revise->kind < REVISE_REVOKE && !shares_revise_seq_next(publication)) {
		shares_revise_fail(revise, WEFT_EREFUSED,
				   "its key has no number left that is higher than all others");
	} else if (revise->err == 0) {
		switch (revise->kind) {
		case REVISE_IMPORT:
			import_begin(publication, now_ns);
			break;
		case REVISE_SIGN:
			shares_sign_begin(publication);
			break;
		case REVISE_REVOKE:
			revoke_begin(publication);
			break;
		case REVISE_ROTATE:
			rotate_begin(publication);
			break;
		}
	}
	if (revise->err < 0)
		shares_revise_end(publication, NULL);
}

void shares_revise_go_on(struct publication *publication, bool was_asked)
{
	struct revise *revise = publication->revise;

	revise->was_asked = was_asked;
	timer_set(publication->publisher->params.timers, &revise->step, 0);
}

int shares_revise_begin(struct publication *publication, enum revise_kind kind,
			const struct publish_ask *ask, uint64_t now_ns)
{
	struct revise *revise;

	if (publication->revise || publication->is_leaving)
		return WEFT_EBUSY;
	revise = calloc(1, sizeof(*revise));
	if (!revise)
		return -ENOMEM;
	revise->publication = publication;
	revise->kind = kind;
	revise->ask = *ask;
	revise->settings = *ask->settings;
	revise->ask.settings = &revise->settings;
	timer_init(&revise->step, step_fire);
	publication->revise = revise;
	publication->is_asked = true;
	shares_keep_ask(publication, now_ns);
	return 0;
}

/* The revision under way has no caller any more; shares_publication_free frees it. */
void shares_revise_stop(struct publication *publication)
{
	struct revise *revise = publication->revise;

	if (!revise)
		return;
	revise->ask.progress = NULL;
	revise->ask.done = NULL;
	timer_cancel(publication->publisher->params.timers, &revise->step);
}

/* --- asked for --- */

int shares_publisher_revise(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    const struct publish_ask *ask, uint64_t now_ns)
{
	struct publication *publication = shares_publication_find(publisher, share_id);
	int err;

	if (!publication)
		return WEFT_EABSENT;
	shares_publication_refresh(publication);
	if (publication->view.state == PUBLISH_REVOKED)
		return WEFT_EREFUSED;
	err = shares_settings_check(publisher, ask->settings, publication);
	if (err < 0)
		return err;
	return shares_revise_begin(publication, ask->imports ? REVISE_IMPORT : REVISE_SIGN, ask,
				   now_ns);
}

static int end_begin(struct publisher *publisher, const uint8_t share_id[static SHARE_ID_LEN],
		     enum revise_kind kind, const struct publish_ask *ask, uint64_t now_ns)
{
	struct publication *publication = shares_publication_find(publisher, share_id);
	struct publish_ask own;

	if (!publication)
		return WEFT_EABSENT;
	shares_publication_refresh(publication);
	if (publication->view.state == PUBLISH_REVOKED)
		return WEFT_EREFUSED;
	own = *ask;
	own.settings = &publication->settings;
	return shares_revise_begin(publication, kind, &own, now_ns);
}

int shares_publisher_revoke(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    const struct publish_ask *ask, uint64_t now_ns)
{
	return end_begin(publisher, share_id, REVISE_REVOKE, ask, now_ns);
}

int shares_publisher_rotate(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    const struct publish_ask *ask, uint64_t now_ns)
{
	return end_begin(publisher, share_id, REVISE_ROTATE, ask, now_ns);
}

int shares_publisher_cancel(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN])
{
	struct publication *publication = shares_publication_find(publisher, share_id);
	struct revise *revise = publication ? publication->revise : NULL;

	if (revise && revise->is_importing)
		return blobs_import_cancel(publisher->params.content, revise->import_id);
	if (!revise || (!timer_is_set(&revise->step) && !publication->is_asked))
		return WEFT_EABSENT;
	shares_revise_fail(revise, WEFT_ECANCELLED, "taken back");
	return 0;
}
