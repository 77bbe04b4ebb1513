/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads, in and out. A head that another holder of the key published counts as much as one of
 * this node. The newest head is the one that is put, and the next revision is numbered after it.
 */
#include <stddef.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "blobs/blobs.h"
#include "publish_state.h"
#include "blobs/scope.h"
#include "store/store.h"

/* A moment for more than one change, and for the overlay to be joined after a start. */
#define SOON_NS	       (1 * NS_PER_S)
#define AGAIN_NS       (HEAD_OVERLAY_TTL_S / 2 * NS_PER_S)
#define RETRY_NS       (30 * NS_PER_S)
#define RETRY_DOUBLE   5 /* to 16 minutes */
#define RENEW_RETRY_NS (3600 * NS_PER_S)

/* --- when --- */

/*
 * renew_s: when the revision is to be signed again; UINT64_MAX: never. One from the future, by a
 * clock that was mended since, at once.
 */
static uint64_t renew_s(const struct publication *publication)
{
	const struct publish_revision *own = shares_publication_own(publication);

	if (!own || !own->expires_s || publication->view.state != PUBLISH_CURRENT)
		return UINT64_MAX;
	if (publication->view.ahead_s)
		return 0;
	return own->expires_s - (own->expires_s - own->created_s) / PUBLISH_RENEW_PART;
}

static void keep_schedule(struct publication *publication, uint64_t at_ns, uint64_t now_ns)
{
	uint64_t wall_s = publisher_wall_s(publication->publisher), due_s;

	shares_publication_refresh(publication);
	due_s = renew_s(publication);
	if (due_s <= wall_s)
		at_ns = now_ns;
	else if (due_s != UINT64_MAX && (at_ns - now_ns) / NS_PER_S > due_s - wall_s)
		at_ns = now_ns + (due_s - wall_s) * NS_PER_S;
	timer_set(publication->publisher->params.timers, &publication->timer, at_ns);
}

void shares_keep_soon(struct publication *publication, uint64_t now_ns)
{
	struct timer *timer = &publication->timer;

	if (!timer_is_set(timer) || timer->at_ns > now_ns + SOON_NS)
		timer_set(publication->publisher->params.timers, timer, now_ns + SOON_NS);
}

void shares_keep_now(struct publication *publication)
{
	publication->is_put_due = true;
	timer_set(publication->publisher->params.timers, &publication->timer, 0);
}

/* No public record names a share that is for the members of strict communities alone. */
static bool publication_is_hidden(const struct publication *publication)
{
	const struct publish_settings *settings = &publication->settings;
	struct scope scope = {.cnt = settings->community_cnt};

	memcpy(scope.ids, settings->communities,
	       settings->community_cnt * sizeof(settings->communities[0]));
	return blobs_scope_hides(publication->publisher->params.content, &scope);
}

static void keep_put(struct publication *publication, uint64_t now_ns);

static void renew(struct publication *publication, uint64_t now_ns)
{
	const struct publish_ask ask = {.settings = &publication->settings};
	int err = shares_revise_begin(publication, REVISE_SIGN, &ask, now_ns);

	if (err < 0)
		shares_publication_tell(publication, PUBLISH_RENEW_ERROR,
					shares_publication_own(publication)->seq, err);
}

/* A path, and no revision: its key took the place of another's, and the program ended then. */
static bool is_unpublished(const struct publication *publication)
{
	return publication->view.state == PUBLISH_EMPTY && publication->settings.path[0];
}

static void publish_first(struct publication *publication, uint64_t now_ns)
{
	struct publish_ask ask = publication->first;
	struct publish_outcome outcome = {.detail = "it cannot begin now, and is tried again"};

	ask.settings = &publication->settings;
	publication->first = (struct publish_ask){.done = NULL};
	/* Where the folder is not there now, it is tried again. */
	outcome.err = shares_revise_begin(publication, REVISE_IMPORT, &ask, now_ns);
	if (outcome.err < 0 && ask.done)
		ask.done(ask.arg, &outcome);
	timer_set(publication->publisher->params.timers, &publication->timer,
		  now_ns + RENEW_RETRY_NS);
}

void shares_keep_fire(struct timer *timer, uint64_t now_ns)
{
	struct publication *publication = container_of(timer, struct publication, timer);

	shares_publication_refresh(publication);
	if (publication->is_put_due) {
		publication->is_put_due = false;
		keep_put(publication, now_ns);
		return;
	}
	if (publication->revise) {
		keep_schedule(publication, now_ns + RETRY_NS, now_ns);
		return;
	}
	if (is_unpublished(publication)) {
		publish_first(publication, now_ns);
		return;
	}
	if (renew_s(publication) <= publisher_wall_s(publication->publisher)) {
		renew(publication, now_ns);
		timer_set(publication->publisher->params.timers, timer, now_ns + RENEW_RETRY_NS);
		return;
	}
	shares_keep_ask(publication, now_ns);
}

/* --- in --- */

static enum publish_event_kind news_of(const struct publication *publication,
				       const struct head_seen *seen)
{
	const struct share_head *known = &publication->newest.head;

	if (shares_head_is_revoked(&seen->head))
		return PUBLISH_WAS_REVOKED;
	return known->seq && shares_head_is_fork(&seen->head, known) ? PUBLISH_FORKED
								     : PUBLISH_SUPERSEDED;
}

void shares_keep_end(struct publication *publication)
{
	struct store *store = publication->publisher->params.store;
	struct store_batch *batch = store_batch_new(store);

	shares_publication_put_removal(publication, batch);
	/* A store that is full now: at the next start it is done again. */
	if (store_submit(store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
	shares_publication_unlist(publication);
}

/* adopt takes another publisher's head, if it is newer than any. */
static void adopt(struct publication *publication, const struct head_seen *seen, bool is_stored)
{
	struct store *store = publication->publisher->params.store;
	enum publish_event_kind news;
	struct store_batch *batch;

	if (!seen->head.seq || (publication->newest.head.seq &&
				!shares_head_is_newer(&seen->head, &publication->newest.head)))
		return;
	news = news_of(publication, seen);
	publication->newest = *seen;
	if (!is_stored) {
		batch = store_batch_new(store);
		shares_head_seen_put(batch, seen);
		/* A store that is full now: the head will come again. */
		if (store_submit(store, batch, NULL, NULL) < 0)
			store_batch_free(batch);
	}
	if (news == PUBLISH_WAS_REVOKED)
		shares_keep_end(publication);
	shares_publication_tell(publication, news, seen->head.seq, 0);
}

/* The follower of the same share may know a newer one. */
static void adopt_stored(struct publication *publication)
{
	struct store_snapshot *snapshot;
	struct head_seen seen;

	if (store_snapshot_open(publication->publisher->params.store, &snapshot) < 0)
		return;
	if (shares_head_seen_get(snapshot, publication->view.share_id, &seen) == 0)
		adopt(publication, &seen, true);
	store_snapshot_close(snapshot);
}

void shares_keep_hear(struct publication *publication, const struct head_seen *seen)
{
	if (!publication->heard.head.seq ||
	    shares_head_is_newer(&seen->head, &publication->heard.head))
		publication->heard = *seen;
}

static void head_heard(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct publication *publication = arg;
	struct head_seen seen = {.len = len - 1};

	(void)claim; /* the rule checked the writer; which is newer it does not say */
	if (len <= 1 || len - 1 > HEAD_LEN_MAX ||
	    shares_head_parse(value + 1, len - 1, &seen.head) < 0 ||
	    memcmp(seen.head.share_id, publication->view.share_id, SHARE_ID_LEN) != 0)
		return;
	memcpy(seen.bytes, value + 1, len - 1);
	shares_keep_hear(publication, &seen);
}

void shares_keep_answered(struct publication *publication, bool was_answered, uint64_t now_ns)
{
	publication->was_answered |= was_answered;
	if (--publication->wait_cnt)
		return;
	shares_holders_end(publication);
	adopt_stored(publication);
	adopt(publication, &publication->heard, false);
	if (publication->is_asked) {
		publication->is_asked = false;
		shares_revise_go_on(publication, publication->was_answered);
	} else {
		keep_put(publication, now_ns);
	}
}

static void get_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct publication *publication = arg;

	publication->get = NULL;
	/* No other node can be asked, but another node put what lies here. */
	shares_keep_answered(publication, result->err == 0 || publication->heard.head.seq, now_ns);
}

void shares_keep_ask(struct publication *publication, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &publication->publisher->params.overlay;
	uint8_t name[HEAD_OVERLAY_NAME_LEN];

	if (publication->wait_cnt)
		return;
	publication->heard.head.seq = 0;
	publication->was_answered = false;
	publication->wait_cnt = 1; /* until all were asked */
	shares_head_overlay_name(publication->view.share_id, name);
	if (overlay->ops && overlay->ops->get(overlay->overlay,
					      &(struct overlay_get_params){.name = name,
									   .name_len = sizeof(name),
									   .tag = HEAD_OVERLAY_TAG,
									   .value = head_heard,
									   .done = get_done,
									   .arg = publication},
					      now_ns, &publication->get) == 0)
		publication->wait_cnt++;
	shares_holders_ask(publication, now_ns);
	shares_keep_answered(publication, false, now_ns);
}

/* --- out --- */

static void put_ended(struct publication *publication, int err, uint32_t holder_cnt,
		      uint64_t now_ns)
{
	struct published *view = &publication->view;
	unsigned doubled;

	view->put_err = err < 0 ? err : holder_cnt ? 0 : WEFT_EUNREACHABLE;
	view->holder_cnt = holder_cnt;
	if (holder_cnt) {
		publication->fail_cnt = 0;
		keep_schedule(publication, now_ns + AGAIN_NS, now_ns);
		return;
	}
	doubled = publication->fail_cnt < RETRY_DOUBLE ? publication->fail_cnt++ : RETRY_DOUBLE;
	keep_schedule(publication, now_ns + (RETRY_NS << doubled), now_ns);
}

static void put_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct publication *publication = arg;

	publication->put = NULL;
	put_ended(publication, result->err, result->stored_cnt, now_ns);
}

static void keep_put(struct publication *publication, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &publication->publisher->params.overlay;
	uint8_t name[HEAD_OVERLAY_NAME_LEN], value[1 + HEAD_LEN_MAX];
	const struct head_seen *newest = &publication->newest;
	int err;

	if (!newest->head.seq || !overlay->ops || publication_is_hidden(publication)) {
		keep_schedule(publication, now_ns + AGAIN_NS, now_ns);
		return;
	}
	/* The head on its way is older. */
	if (publication->put)
		overlay->ops->cancel(publication->put);
	publication->put = NULL;
	shares_head_overlay_name(publication->view.share_id, name);
	value[0] = HEAD_OVERLAY_TAG;
	memcpy(value + 1, newest->bytes, newest->len);
	err = overlay->ops->put(
		overlay->overlay,
		&(struct overlay_put_params){.value = {name, sizeof(name), value, 1 + newest->len},
					     .done = put_done,
					     .arg = publication},
		now_ns, &publication->put);
	if (err < 0) {
		publication->put = NULL;
		put_ended(publication, err, 0, now_ns);
	}
}

void shares_keep_stop(struct publication *publication)
{
	struct publisher *publisher = publication->publisher;
	const struct overlay_seam *overlay = &publisher->params.overlay;

	if (publication->get)
		overlay->ops->cancel(publication->get);
	if (publication->put)
		overlay->ops->cancel(publication->put);
	publication->get = publication->put = NULL;
	shares_holders_end(publication);
	publication->wait_cnt = 0;
	timer_cancel(publisher->params.timers, &publication->timer);
}
