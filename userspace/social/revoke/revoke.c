/* SPDX-License-Identifier: Apache-2.0 */
#include "social/revoke/revoke.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "social/revoke/revoke_state.h"
#include "store/store.h"

/* A row: 31 zero bytes | slot u8 | person 32 -> layout 1 u8 | way u8 | scope u8 | started ms u64be | post 32 | circle 16 */
#define ROW_LAYOUT    1u
#define ROW_KEY_LEN   64u
#define ROW_ZEROS_LEN 31u
#define ROW_LEN	      (3u + 8 + POST_ID_LEN + REVOKE_CIRCLE_ID_LEN)
#define SCOPE_POST    1u
#define SCOPE_CIRCLE  2u

/* --- rows --- */

static struct store_key row_key(const struct revocation *revocation,
				uint8_t bytes[static ROW_KEY_LEN])
{
	memset(bytes, 0, ROW_ZEROS_LEN);
	bytes[ROW_ZEROS_LEN] = revocation->slot;
	memcpy(bytes + ROW_ZEROS_LEN + 1, revocation->person, NODE_KEY_LEN);
	return store_key(bytes, ROW_KEY_LEN);
}

static void row_put(struct store_batch *batch, const struct revocation *revocation)
{
	uint8_t key[ROW_KEY_LEN], value[ROW_LEN];
	struct writer w = writer_of(value, sizeof(value));

	writer_u8(&w, ROW_LAYOUT);
	writer_u8(&w, (uint8_t)revocation->way);
	writer_u8(&w, (uint8_t)((revocation->has_post ? SCOPE_POST : 0) |
				(revocation->has_circle ? SCOPE_CIRCLE : 0)));
	writer_be64(&w, revocation->started_ms);
	writer_bytes(&w, revocation->post, POST_ID_LEN);
	writer_bytes(&w, revocation->circle, REVOKE_CIRCLE_ID_LEN);
	store_batch_put(batch, STORE_REPLICAS, row_key(revocation, key), value, writer_len(&w));
}

static int row_parse(const struct store_item *item, struct revocation *out_revocation)
{
	struct cursor c = cursor_of(item->value, item->value_len);
	uint8_t layout = cursor_u8(&c), way = cursor_u8(&c), scope = cursor_u8(&c);

	out_revocation->started_ms = cursor_be64(&c);
	cursor_copy(&c, out_revocation->post, POST_ID_LEN);
	cursor_copy(&c, out_revocation->circle, REVOKE_CIRCLE_ID_LEN);
	if (c.bad || cursor_left(&c) || layout != ROW_LAYOUT || way > REVOKE_SEAL)
		return WEFT_EDAMAGED;
	out_revocation->slot = item->key[ROW_ZEROS_LEN];
	memcpy(out_revocation->person, item->key + ROW_ZEROS_LEN + 1, NODE_KEY_LEN);
	out_revocation->way = way;
	out_revocation->has_post = scope & SCOPE_POST;
	out_revocation->has_circle = scope & SCOPE_CIRCLE;
	return 0;
}

/* --- the queue --- */

static struct revocation *first(const struct revocations *revocations)
{
	return list_first(&revocations->queue, struct revocation, link);
}

static void wake_at(struct revocations *revocations, uint64_t at_ns)
{
	if (!revocations->is_stopped)
		timer_set(revocations->params.ground->timers, &revocations->timer, at_ns);
}

static void enqueue(struct revocations *revocations, struct revocation *revocation)
{
	list_push_back(&revocations->queue, &revocation->link);
	revocations->cnt++;
}

/* The row goes in the end: until then a start does it all again, and finds it done. */
static void finish(struct revocations *revocations, int err)
{
	struct revocation *revocation = first(revocations);
	struct store_batch *batch = store_batch_new(revocations->params.ground->store);
	uint8_t key[ROW_KEY_LEN];

	store_batch_delete(batch, STORE_REPLICAS, row_key(revocation, key));
	if (store_submit(revocations->params.ground->store, batch, NULL, NULL) < 0) {
		store_batch_free(batch);
		wake_at(revocations, revocations->now_ns + REVOKE_RETRY_NS);
		return;
	}
	revocation->outcome.err = err;
	revocations->stats.failed_cnt += err < 0;
	list_unlink(&revocation->link);
	revocations->cnt--;
	if (revocation->done)
		revocation->done(revocation->arg, &revocation->outcome);
	free(revocation);
	wake_at(revocations, revocations->now_ns);
}

void social_revoke_stepped(struct revocations *revocations, int err)
{
	struct revocation *revocation = first(revocations);
	const struct revoke_step *step = &revocations->step;

	if (err == WEFT_EBUSY) {
		/* The walk comes to the same post once more. */
		revocation->search.has_cursor = revocation->has_before;
		revocation->search.cursor = revocation->before;
		wake_at(revocations, revocations->now_ns + REVOKE_RETRY_NS);
		return;
	}
	if (err == 0) {
		revocation->outcome.wrapped_cnt += !step->is_sealed;
		revocation->outcome.sealed_cnt += step->is_sealed;
		revocation->outcome.kept_cnt += step->is_kept;
		revocation->outcome.wrap_cnt += step->wrap_cnt;
		revocations->stats.wrapped_cnt += !step->is_sealed;
		revocations->stats.sealed_cnt += step->is_sealed;
		revocations->stats.wrap_cnt += step->wrap_cnt;
	} else if (err != WEFT_EABSENT && revocation->outcome.err == 0) {
		revocation->outcome.err =
			err; /* the others are taken from the reader all the same */
	}
	revocation->is_over |= revocation->has_post;
	wake_at(revocations, revocations->now_ns);
}

static void post_next(struct revocations *revocations, struct revocation *revocation)
{
	struct post_view view;
	int err;

	revocation->has_before = revocation->search.has_cursor;
	revocation->before = revocation->search.cursor;
	err = revocation->has_post
		      ? social_posts_look(revocations->params.posts, revocation->post, &view)
		      : social_revoke_find(revocations, &revocation->search, &view);
	if (revocation->has_post && err == 0)
		err = 1;
	if (err > 0) {
		social_revoke_post(revocations, revocation, &view);
	} else if (err == WEFT_EBUSY) {
		wake_at(revocations, revocations->now_ns);
	} else if (err == 0 && social_revoke_persona(revocations, ++revocation->search.persona)) {
		revocation->search.has_cursor = false;
		wake_at(revocations, revocations->now_ns);
	} else {
		finish(revocations, revocation->outcome.err < 0 ? revocation->outcome.err
				    : err == WEFT_EABSENT	? 0
								: err);
	}
}

static void on_turn(struct timer *timer, uint64_t now_ns)
{
	struct revocations *revocations = container_of(timer, struct revocations, timer);
	struct revocation *revocation = first(revocations);

	revocations->now_ns = now_ns;
	if (!revocation || revocations->step.is_under_way || !revocation->is_durable)
		return;
	if (revocation->is_over)
		finish(revocations, revocation->outcome.err);
	else
		post_next(revocations, revocation);
}

/* --- what people ask --- */

static void on_durable(void *arg, int err)
{
	struct revocation *revocation = arg;
	struct revocations *revocations = revocation->owner;

	if (revocations->is_stopped)
		return;
	revocation->is_durable = true;
	if (err < 0) {
		/* Without its row it would stop at a crash: nothing of it is done. */
		revocation->is_over = true;
		revocation->outcome.err = err;
	}
	wake_at(revocations, revocations->now_ns);
}

/* A slot that no revocation of the queue has. */
static uint8_t slot_free(const struct revocations *revocations)
{
	bool taken[REVOCATIONS_MAX + 1] = {false};
	uint8_t slot = 0;

	for (struct list_node *node = revocations->queue.next; node != &revocations->queue;
	     node = node->next)
		taken[container_of(node, struct revocation, link)->slot % REVOCATIONS_MAX] = true;
	while (taken[slot])
		slot++;
	return slot;
}

int social_revoke_start(struct revocations *revocations, const struct revoke_ask *ask,
			uint64_t now_ns)
{
	struct revocation *revocation;
	struct store_batch *batch;
	int err;

	revocations->now_ns = now_ns;
	if (social_revoke_own(revocations, ask->scope.person))
		return WEFT_EREFUSED;
	if (revocations->cnt == REVOCATIONS_MAX)
		return WEFT_EFULL;
	revocation = calloc(1, sizeof(*revocation));
	if (!revocation)
		return -ENOMEM;
	*revocation = (struct revocation){.owner = revocations,
					  .slot = slot_free(revocations),
					  .way = ask->way,
					  .has_post = ask->scope.post,
					  .has_circle = ask->scope.circle,
					  .started_ms = social_wall_ms(revocations->params.ground),
					  .done = ask->done,
					  .arg = ask->arg};
	memcpy(revocation->person, ask->scope.person, NODE_KEY_LEN);
	if (ask->scope.post)
		memcpy(revocation->post, ask->scope.post, POST_ID_LEN);
	if (ask->scope.circle)
		memcpy(revocation->circle, ask->scope.circle, REVOKE_CIRCLE_ID_LEN);
	batch = store_batch_new(revocations->params.ground->store);
	row_put(batch, revocation);
	err = store_submit(revocations->params.ground->store, batch, on_durable, revocation);
	if (err < 0) {
		store_batch_free(batch);
		free(revocation);
		return err;
	}
	enqueue(revocations, revocation);
	return 0;
}

unsigned social_revoke_cnt(const struct revocations *revocations)
{
	return revocations->cnt;
}

/* --- what shows it --- */

static void proof_write(struct writer *out, const struct writer *deletion, const uint8_t *vis,
			size_t vis_len)
{
	size_t deletion_len = writer_len(deletion);

	cbor_write_map(out, deletion_len ? 2 : 1);
	if (deletion_len) {
		cbor_write_uint(out, 0);
		cbor_write_bytes(out, deletion->start, deletion_len);
	}
	cbor_write_uint(out, 1);
	cbor_write_bytes(out, vis, vis_len);
}

int social_revoke_proof(struct revocations *revocations, const uint8_t post[static POST_ID_LEN],
			const uint8_t person[static NODE_KEY_LEN], struct writer *out)
{
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer deletion = writer_of(bytes, sizeof(bytes));
	struct post_deletion read = {.post = NULL};
	const uint8_t *id = post;
	struct post_copy *copy;
	int err = social_posts_deletion(revocations->params.posts, post, &deletion);

	if (err == 0) {
		err = social_deletion_read(bytes, writer_len(&deletion), &read);
		if (err == 0 && !read.superseded_by)
			err = WEFT_EABSENT; /* deleted for all readers */
		id = read.superseded_by;
	} else if (err == WEFT_EABSENT) {
		err = 0;
	}
	if (err == 0)
		err = social_revoke_load(revocations, id, &copy);
	if (err < 0)
		return err;
	if (revocations->visibility.kind != VISIBILITY_RECIPIENTS ||
	    social_visibility_recipient(&revocations->visibility, person))
		err = WEFT_EABSENT;
	else
		proof_write(out, &deletion, copy->parts.visibility, copy->parts.visibility_len);
	social_post_copy_free(copy);
	return err < 0 ? err : out->bad ? WEFT_ETOOSMALL : 0;
}

/* --- life --- */

static int load(struct revocations *revocations)
{
	static const uint8_t zeros[ROW_ZEROS_LEN];
	struct store_iter iter = store_iter_fresh(revocations->params.ground->store, STORE_REPLICAS,
						  store_key(zeros, sizeof(zeros)));
	struct store_item item;

	while (store_iter_next(&iter, &item) && memcmp(item.key, zeros, sizeof(zeros)) == 0 &&
	       revocations->cnt < REVOCATIONS_MAX) {
		struct revocation *revocation = calloc(1, sizeof(*revocation));

		if (!revocation) {
			iter.err = -ENOMEM;
			break;
		}
		revocation->owner = revocations;
		revocation->is_durable = true;
		iter.err = row_parse(&item, revocation);
		if (iter.err < 0) {
			free(revocation);
			break;
		}
		enqueue(revocations, revocation);
	}
	return store_iter_end(&iter);
}

int social_revoke_open(const struct revoke_params *params, struct revocations **out_revocations)
{
	struct revocations *revocations = calloc(1, sizeof(*revocations));
	int err;

	if (!revocations)
		return -ENOMEM;
	revocations->params = *params;
	revocations->now_ns = params->now_ns;
	list_init(&revocations->queue);
	timer_init(&revocations->timer, on_turn);
	err = load(revocations);
	if (err < 0) {
		social_revoke_close(revocations);
		return err;
	}
	wake_at(revocations, params->now_ns);
	*out_revocations = revocations;
	return 0;
}

void social_revoke_stop(struct revocations *revocations)
{
	if (!revocations || revocations->is_stopped)
		return;
	revocations->is_stopped = true;
	timer_cancel(revocations->params.ground->timers, &revocations->timer);
	/* Rows that are on their way name revocations. */
	store_flush(revocations->params.ground->store);
	for (struct list_node *node = revocations->queue.next; node != &revocations->queue;
	     node = node->next) {
		struct revocation *revocation = container_of(node, struct revocation, link);

		revocation->outcome.err = WEFT_ECANCELLED;
		if (revocation->done)
			revocation->done(revocation->arg, &revocation->outcome);
		revocation->done = NULL;
	}
}

void social_revoke_close(struct revocations *revocations)
{
	struct revocation *revocation;

	if (!revocations)
		return;
	social_revoke_stop(revocations);
	while ((revocation = first(revocations))) {
		list_unlink(&revocation->link);
		free(revocation);
	}
	free(revocations);
}

void social_revoke_stats(const struct revocations *revocations, struct revoke_stats *out_stats)
{
	*out_stats = revocations->stats;
	out_stats->waiting_cnt = revocations->cnt;
}
