/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One post is taken from one reader. Each change is durable before the next one
 * begins. A change that is begun again is found done: a reader that was taken off
 * is no reader any more. An edition in the place of a post is its successor.
 */
#include <errno.h>
#include <string.h>

#include "base/random.h"
#include "social/revoke/revoke_state.h"

static const struct revocation *current(const struct revocations *revocations)
{
	return container_of(revocations->queue.next, struct revocation, link);
}

/* The intake's word as an error; 0: it is so now, or was so before. */
static int outcome_of(enum intake_verdict verdict)
{
	switch (verdict) {
	case INTAKE_TAKEN:
	case INTAKE_KNOWN:
	case INTAKE_OLD:
	case INTAKE_DELETED:
		return 0;
	case INTAKE_ABSENT: /* deleted meanwhile, by the person at this node */
		return WEFT_EABSENT;
	case INTAKE_BUSY:
		return WEFT_EBUSY;
	case INTAKE_FULL:
		return WEFT_EFULL;
	default:
		return WEFT_EDAMAGED;
	}
}

static void step_end(struct revocations *revocations, int err)
{
	revocations->step.is_under_way = false;
	social_revoke_stepped(revocations, err);
}

/* --- the mark --- */

static void on_marked(void *arg, int err)
{
	struct revocations *revocations = arg;
	const struct revoke_ways *ways = &revocations->params.ways;

	if (revocations->is_stopped)
		return;
	if (err == 0 && ways->cut)
		ways->cut(ways->ctx, current(revocations)->person, revocations->step.id,
			  revocations->now_ns);
	step_end(revocations, err);
}

static void mark(struct revocations *revocations)
{
	struct revoke_step *step = &revocations->step;
	struct holder_revoked revoked = {.post = step->id,
					 .person = current(revocations)->person,
					 .replaced_by = step->is_sealed ? step->next_id : NULL,
					 .done = on_marked,
					 .arg = revocations};
	int err = social_holders_revoked(revocations->params.holders, &revoked);

	if (err < 0)
		step_end(revocations, err == WEFT_EFULL ? WEFT_EBUSY : err);
}

/* --- cheap --- */

static void on_readers(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct revocations *revocations = arg;
	int err = outcome_of(verdict);

	(void)id;
	if (revocations->is_stopped)
		return;
	if (err < 0)
		step_end(revocations, err);
	else
		mark(revocations);
}

static struct reader_removal removal_of(struct revocations *revocations)
{
	return (struct reader_removal){&revocations->visibility, current(revocations)->person,
				       social_revoke_own(revocations, revocations->post.author),
				       revocations->params.ground->random};
}

static void wrap(struct revocations *revocations)
{
	struct reader_removal removal = removal_of(revocations);
	struct writer w =
		writer_of(revocations->made_visibility, sizeof(revocations->made_visibility));
	int cnt = social_wrap_anew(&removal, &revocations->post, &w);

	if (cnt < 0) {
		step_end(revocations, cnt);
		return;
	}
	revocations->step.wrap_cnt = (unsigned)cnt;
	social_intake_visibility(revocations->params.intake,
				 &(struct intake_object){.bytes = revocations->made_visibility,
							 .len = writer_len(&w),
							 .source = INTAKE_OWN,
							 .done = on_readers,
							 .arg = revocations},
				 revocations->now_ns);
}

/* --- heavy --- */

static void on_deleted(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	on_readers(arg, verdict, id);
}

static void old_delete(struct revocations *revocations)
{
	struct revoke_step *step = &revocations->step;
	struct post_deletion deletion = {.post = step->id,
					 .time_ms = social_wall_ms(revocations->params.ground),
					 .superseded_by = step->next_id};
	struct writer w = writer_of(revocations->made_claim, sizeof(revocations->made_claim));
	struct post_view view;
	const struct node_key *author = NULL;

	/* Its author is of this node: the walk went over the posts of a persona. */
	if (social_posts_look(revocations->params.posts, step->id, &view) == 0)
		author = social_revoke_own(revocations, view.author);
	if (!author) {
		step_end(revocations, WEFT_EABSENT);
		return;
	}
	social_deletion_write(&w, &deletion, author);
	social_intake_deletion(revocations->params.intake,
			       &(struct intake_object){.bytes = revocations->made_claim,
						       .len = writer_len(&w),
						       .source = INTAKE_OWN,
						       .done = on_deleted,
						       .arg = revocations},
			       revocations->now_ns);
}

static void on_posted(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct revocations *revocations = arg;
	int err = outcome_of(verdict);

	if (revocations->is_stopped)
		return;
	if (err < 0) {
		step_end(revocations, err);
		return;
	}
	memcpy(revocations->step.next_id, id, POST_ID_LEN);
	old_delete(revocations);
}

/* The text of the post at hand, into text; its length, or an error. */
static int64_t text_open(struct revocations *revocations, const struct reader_removal *removal)
{
	struct writer text = writer_of(revocations->text, sizeof(revocations->text));
	uint8_t key[CONTENT_KEY_LEN];
	int err = social_post_key_open(removal, &revocations->post, key);

	if (err == 0)
		err = social_content_open(key, revocations->post.content,
					  revocations->post.content_len, &text);
	explicit_bzero(key, sizeof(key));
	return err < 0 ? err : (int64_t)writer_len(&text);
}

/* The three objects of the edition in its place. 0 or an error. */
static int edition_make(struct revocations *revocations, const struct post_view *view,
			struct post_parts *out_parts)
{
	struct reader_removal removal = removal_of(revocations);
	struct writer post = writer_of(revocations->made_post, sizeof(revocations->made_post)),
		      vis = writer_of(revocations->made_visibility,
				      sizeof(revocations->made_visibility)),
		      claim = writer_of(revocations->made_claim, sizeof(revocations->made_claim));
	uint8_t key[CONTENT_KEY_LEN];
	int64_t text_len = text_open(revocations, &removal);
	struct sealed_anew made = {
		.text = revocations->text, .key = key, .post = &post, .visibility = &vis};
	int cnt;

	if (text_len < 0)
		return (int)text_len;
	made.text_len = (size_t)text_len;
	random_fill(revocations->params.ground->random, key, sizeof(key));
	cnt = social_seal_anew(&removal, &revocations->post, &made);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(revocations->text, made.text_len);
	if (cnt < 0)
		return cnt;
	revocations->step.wrap_cnt = (unsigned)cnt;
	social_post_id(revocations->made_post, writer_len(&post), revocations->step.next_id);
	social_claim_write(&claim,
			   &(struct post_claim){.post = revocations->step.next_id,
						.logical_id = view->logical_id,
						.supersedes = view->id},
			   removal.author);
	*out_parts = (struct post_parts){.post = revocations->made_post,
					 .post_len = writer_len(&post),
					 .claim = revocations->made_claim,
					 .claim_len = writer_len(&claim),
					 .visibility = revocations->made_visibility,
					 .visibility_len = writer_len(&vis)};
	return 0;
}

static void seal(struct revocations *revocations, const struct post_view *view)
{
	struct intake_ask ask = {
		.source = INTAKE_OWN,
		.marks = (uint16_t)(view->flags & POST_MARKS & ~(unsigned)POST_FETCHED_BY_OTHERS),
		.done = on_posted,
		.arg = revocations};
	int err = edition_make(revocations, view, &ask.parts);

	if (err < 0)
		step_end(revocations, err);
	else
		social_intake_post(revocations->params.intake, &ask, revocations->now_ns);
}

/* --- which --- */

static bool is_heavy(struct revocations *revocations, const struct revocation *revocation,
		     const struct post_view *view)
{
	struct revoke_cost cost;

	if (revocation->way != REVOKE_ADVISED)
		return revocation->way == REVOKE_SEAL;
	return social_revoke_fetched(revocations, view->id, revocation->person, &cost) < 0 ||
	       cost.advised == REVOKE_SEAL;
}

/* Of the post that was loaded. */
static void begin(struct revocations *revocations, const struct revocation *revocation,
		  const struct post_view *view)
{
	struct revoke_step *step = &revocations->step;
	bool is_heavy_one = is_heavy(revocations, revocation, view);

	/* Another key cannot come to attachments that were sealed under the old one. */
	if (is_heavy_one && revocations->post.attachment_cnt && !view->has_successor) {
		is_heavy_one = false;
		step->is_kept = true;
	}
	step->is_sealed = is_heavy_one;
	if (!is_heavy_one) {
		wrap(revocations);
	} else if (view->has_successor) {
		memcpy(step->next_id, view->superseded_by, POST_ID_LEN);
		old_delete(revocations);
	} else {
		seal(revocations, view);
	}
}

void social_revoke_post(struct revocations *revocations, const struct revocation *revocation,
			const struct post_view *view)
{
	struct revoke_scope scope = revocation_scope(revocation);
	struct post_copy *copy;
	int err;

	revocations->step = (struct revoke_step){.is_under_way = true, .time_ms = view->time_ms};
	memcpy(revocations->step.id, view->id, POST_ID_LEN);
	err = social_revoke_load(revocations, view->id, &copy);
	if (err < 0) {
		step_end(revocations, err);
		return;
	}
	if (social_revoke_is_in_scope(revocations, &scope))
		begin(revocations, revocation, view);
	else
		step_end(revocations, WEFT_EABSENT);
	social_post_copy_free(copy);
}
