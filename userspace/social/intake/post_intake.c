/* SPDX-License-Identifier: Apache-2.0 */
#include "social/intake/post_intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "social/ground/social_ground.h"
#include "social/intake/post_intake_state.h"

/* A change that waits for the disk. */
struct intake_run {
	struct list_node node;
	struct intake *intake;
	intake_done_fn done;
	void *arg;
	uint8_t id[POST_ID_LEN];
	bool is_put;
	bool has_from;
	uint8_t from[NODE_KEY_LEN];
	bool is_addressed; /* by author, an unknown person */
	uint8_t author[NODE_KEY_LEN];
	uint64_t now_ns;
};

const char *social_intake_text(enum intake_verdict verdict)
{
	static const char *const texts[INTAKE_VERDICT_CNT] = {
		[INTAKE_TAKEN] = "it is here now",
		[INTAKE_KNOWN] = "it was here",
		[INTAKE_TOO_LARGE] = "it is longer than any may be",
		[INTAKE_MALFORMED] = "it follows no format",
		[INTAKE_ALTERED] = "its signature does not match",
		[INTAKE_FORGED] = "another key than the author's signed it",
		[INTAKE_AHEAD] = "the author's clock is more than a day ahead",
		[INTAKE_BLOCKED] = "its author is blocked",
		[INTAKE_DELETED] = "its author deleted it before",
		[INTAKE_OLD] = "it is not newer than what is held",
		[INTAKE_UNWANTED] = "it is of an unknown person, and for no person of this node",
		[INTAKE_REFUSED] = "it is of a person whose request was refused here",
		[INTAKE_ABSENT] = "the post that it is about is not here",
		[INTAKE_FULL] = "there is no room for it",
		[INTAKE_BUSY] = "the disk does not keep up",
		[INTAKE_FAILED] = "memory or the disk failed",
	};

	return texts[verdict];
}

/* --- verdicts --- */

static void count(struct intake *intake, enum intake_verdict verdict)
{
	struct intake_stats *stats = &intake->stats;
	uint64_t *const counts[INTAKE_VERDICT_CNT] = {
		[INTAKE_TAKEN] = &stats->taken_cnt,
		[INTAKE_KNOWN] = &stats->known_cnt,
		[INTAKE_TOO_LARGE] = &stats->too_large_cnt,
		[INTAKE_MALFORMED] = &stats->malformed_cnt,
		[INTAKE_ALTERED] = &stats->altered_cnt,
		[INTAKE_FORGED] = &stats->forged_cnt,
		[INTAKE_AHEAD] = &stats->ahead_cnt,
		[INTAKE_BLOCKED] = &stats->blocked_cnt,
		[INTAKE_DELETED] = &stats->deleted_cnt,
		[INTAKE_OLD] = &stats->old_cnt,
		[INTAKE_UNWANTED] = &stats->unwanted_cnt,
		[INTAKE_REFUSED] = &stats->refused_cnt,
		[INTAKE_ABSENT] = &stats->absent_cnt,
		[INTAKE_FULL] = &stats->full_cnt,
		[INTAKE_BUSY] = &stats->busy_cnt,
		[INTAKE_FAILED] = &stats->failed_cnt,
	};

	++*counts[verdict];
}

static void settle(struct intake *intake, intake_done_fn done, void *arg,
		   enum intake_verdict verdict, const uint8_t *id)
{
	static const uint8_t none[POST_ID_LEN];

	count(intake, verdict);
	if (done)
		done(arg, verdict, id ? id : none);
}

/* Of what parses and verifies. */
static enum intake_verdict judged_as(int err)
{
	switch (err) {
	case WEFT_ETOOLARGE:
		return INTAKE_TOO_LARGE;
	case WEFT_EMALFORMED:
		return INTAKE_MALFORMED;
	case WEFT_EDAMAGED:
		return INTAKE_ALTERED;
	case WEFT_EWRONGKEY:
		return INTAKE_FORGED;
	default:
		return INTAKE_FAILED;
	}
}

/* Of social_posts_put and set_visibility. */
static enum intake_verdict kept_as(int err)
{
	switch (err) {
	case WEFT_EEXISTS:
		return INTAKE_KNOWN;
	case WEFT_EREFUSED:
		return INTAKE_DELETED;
	case WEFT_ESTALE:
		return INTAKE_OLD;
	case WEFT_EABSENT:
		return INTAKE_ABSENT;
	case WEFT_EFULL:
		return INTAKE_FULL;
	case WEFT_EBUSY:
		return INTAKE_BUSY;
	default:
		return INTAKE_FAILED;
	}
}

static bool is_blocked(const struct intake *intake, const uint8_t *key)
{
	const struct intake_ways *ways = &intake->params.ways;

	return !ways->is_own(ways->ctx, key) && ways->is_blocked(ways->ctx, key);
}

static bool is_ahead(const struct intake *intake, uint64_t time_ms)
{
	uint64_t wall_ms = social_wall_ms(intake->params.ground);

	return time_ms > wall_ms && time_ms - wall_ms > INTAKE_AHEAD_MS;
}

/* --- what waits for the disk --- */

static struct intake_run *run_new(struct intake *intake, intake_done_fn done, void *arg,
				  const uint8_t *id, uint64_t now_ns)
{
	struct intake_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->intake = intake;
	run->done = done;
	run->arg = arg;
	run->now_ns = now_ns;
	memcpy(run->id, id, POST_ID_LEN);
	list_push_back(&intake->runs, &run->node);
	return run;
}

static void run_from(struct intake_run *run, const uint8_t *from)
{
	run->has_from = from != NULL;
	if (from)
		memcpy(run->from, from, sizeof(run->from));
}

static void run_free(struct intake_run *run)
{
	list_unlink(&run->node);
	free(run);
}

static void on_durable(void *arg, int err)
{
	struct intake_run run = *(struct intake_run *)arg;
	struct intake *intake = run.intake;
	const struct intake_ways *ways = &intake->params.ways;

	run_free(arg);
	if (err == 0 && ways->changed)
		ways->changed(
			ways->ctx,
			&(struct intake_change){run.id, run.has_from ? run.from : NULL, run.is_put},
			run.now_ns);
	settle(intake, run.done, run.arg, err == 0 ? INTAKE_TAKEN : INTAKE_FAILED, run.id);
	if (err == 0 && run.is_addressed)
		ways->was_addressed(ways->ctx, run.author, run.id, run.now_ns);
}

/* --- what a post is to this node --- */

/* How a post was found to stand to the people of this node. */
struct standing {
	bool is_wanted; /* false: no share takes it */
	bool is_refused;
	enum post_share share;
	uint16_t marks;
};

static bool is_own(const struct intake *intake, const uint8_t *key)
{
	const struct intake_ways *ways = &intake->params.ways;

	return ways->is_own(ways->ctx, key);
}

static bool has_own_reader(const struct intake *intake, const struct visibility *visibility)
{
	for (unsigned i = 0; i < visibility->recipient_cnt; i++)
		if (is_own(intake, visibility->recipients[i].reader))
			return true;
	return false;
}

static bool mentions_own(const struct intake *intake, const struct post *post)
{
	for (unsigned i = 0; i < post->mention_cnt; i++)
		if (is_own(intake, post->mentions[i]))
			return true;
	return false;
}

static bool mentions(const struct post *post, const uint8_t *key)
{
	for (unsigned i = 0; i < post->mention_cnt; i++)
		if (memcmp(post->mentions[i], key, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

/* A direct message is one that mentions each of its readers. */
static bool is_direct(const struct post *post, const struct visibility *visibility)
{
	if (visibility->kind != VISIBILITY_RECIPIENTS || visibility->recipient_cnt == 0)
		return false;
	for (unsigned i = 0; i < visibility->recipient_cnt; i++)
		if (!mentions(post, visibility->recipients[i].reader))
			return false;
	return true;
}

/* What readers make of a post: a person of this node opens it, or a group of this node has it. */
static uint16_t readers_marks(const struct intake *intake, const uint8_t *author,
			      const struct visibility *visibility, bool *out_is_of_group)
{
	const struct intake_ways *ways = &intake->params.ways;
	const struct visibility_group *group = &visibility->group;
	bool opens =
		visibility->kind == VISIBILITY_PUBLIC || is_own(intake, author) ||
		(visibility->kind == VISIBILITY_RECIPIENTS && has_own_reader(intake, visibility));
	bool opens_group = false;

	*out_is_of_group = visibility->kind == VISIBILITY_GROUP &&
			   ways->is_in_group(ways->ctx, group->group, group->epoch, &opens_group);
	opens_group = opens_group && ways->opens_group(ways->ctx, group);
	return opens || (*out_is_of_group && opens_group) ? POST_READABLE : 0;
}

/* The parent is a post of a person of this node. */
static bool replies_to_own(const struct intake *intake, const struct post *post)
{
	struct post_view view;

	return post->parent && social_posts_look(intake->params.posts, post->parent, &view) == 0 &&
	       view.share == POST_OWN;
}

/* First words of a person whose request was refused; what others see, too, is none. */
static bool is_refused(const struct intake *intake, const struct judged_post *judged)
{
	const struct intake_ways *ways = &intake->params.ways;

	return judged->visibility.kind == VISIBILITY_RECIPIENTS && ways->is_refused &&
	       ways->is_refused(ways->ctx, judged->post.author);
}

static struct standing standing_of(const struct intake *intake, const struct judged_post *judged,
				   const struct intake_ask *ask)
{
	const struct intake_ways *ways = &intake->params.ways;
	const struct post *post = &judged->post;
	const struct visibility_group *group = &judged->visibility.group;
	bool is_of_group, is_of_own = is_own(intake, post->author);
	struct standing standing = {.is_wanted = true};
	bool is_mentioned = mentions_own(intake, post);

	standing.marks = readers_marks(intake, post->author, &judged->visibility, &is_of_group);
	standing.marks |= is_mentioned && !is_of_own ? POST_MENTIONS_ME : 0;
	standing.marks |= is_direct(post, &judged->visibility) ? POST_DIRECT : 0;
	standing.marks |= ask->marks & POST_MARKS;
	if (is_of_own)
		standing.share = POST_OWN;
	else if (ways->is_followed(ways->ctx, post->author) ||
		 (is_of_group &&
		  ways->is_poster(ways->ctx, group->group, &group->epoch, post->author)))
		standing.share = POST_WANTED;
	else if (
		is_of_group) /* any node can name a group; the state that has its author may follow */
		standing.share = POST_ADDRESSED;
	else if (is_refused(intake, judged) && !ask->is_asked_for)
		standing = (struct standing){.is_refused = true};
	else if (standing.marks & POST_READABLE &&
		 (judged->visibility.kind == VISIBILITY_RECIPIENTS || is_mentioned ||
		  replies_to_own(intake, post) || ask->is_asked_for))
		standing.share = POST_ADDRESSED;
	else if (ask->source == INTAKE_REPLICA || ask->source == INTAKE_IMPORT)
		standing.share = POST_HOSTED;
	else
		standing.is_wanted = false;
	return standing;
}

/* --- posts --- */

static enum intake_verdict post_put(struct intake *intake, const struct intake_ask *ask,
				    const struct judged_post *judged, uint64_t now_ns)
{
	struct standing standing = standing_of(intake, judged, ask);
	struct post_put put = {.parts = ask->parts,
			       .judged = judged,
			       .share = standing.share,
			       .marks = standing.marks,
			       .done = on_durable};
	struct intake_run *run;
	int err;

	if (!standing.is_wanted)
		return standing.is_refused ? INTAKE_REFUSED : INTAKE_UNWANTED;
	run = run_new(intake, ask->done, ask->arg, judged->id, now_ns);
	if (!run)
		return INTAKE_FAILED;
	run_from(run, ask->from);
	run->is_put = true;
	run->is_addressed = standing.share == POST_ADDRESSED;
	memcpy(run->author, judged->post.author, NODE_KEY_LEN);
	social_payer(intake->params.ground, ask->from, &put.source, &put.class);
	put.arg = run;
	err = social_posts_put(intake->params.posts, &put, now_ns);
	if (err == 0)
		return INTAKE_TAKEN;
	run_free(run);
	return kept_as(err);
}

/* INTAKE_TAKEN: it is on its way to the disk, and on_durable follows. */
static enum intake_verdict post_take(struct intake *intake, const struct intake_ask *ask,
				     uint8_t *out_id, uint64_t now_ns)
{
	struct judged_post *judged;
	enum intake_verdict verdict;
	int err = social_post_judge(&ask->parts, &judged);

	if (err < 0)
		return judged_as(err);
	memcpy(out_id, judged->id, POST_ID_LEN);
	if (is_blocked(intake, judged->post.author))
		verdict = INTAKE_BLOCKED;
	else if (is_ahead(intake, judged->post.time_ms))
		verdict = INTAKE_AHEAD;
	else
		verdict = post_put(intake, ask, judged, now_ns);
	social_judged_free(judged);
	return verdict;
}

void social_intake_post(struct intake *intake, const struct intake_ask *ask, uint64_t now_ns)
{
	uint8_t id[POST_ID_LEN] = {0};
	enum intake_verdict verdict;

	if (ask->parts.post_len <= POST_LEN_MAX)
		social_post_id(ask->parts.post, ask->parts.post_len, id);
	if (social_posts_known(intake->params.posts, id) == POST_HELD) {
		/* What is held was judged. Its readers may be other ones by now. */
		social_intake_visibility(intake,
					 &(struct intake_object){.bytes = ask->parts.visibility,
								 .len = ask->parts.visibility_len,
								 .from = ask->from,
								 .source = ask->source,
								 .done = ask->done,
								 .arg = ask->arg},
					 now_ns);
		return;
	}
	memset(id, 0, sizeof(id));
	verdict = post_take(intake, ask, id, now_ns);
	if (verdict != INTAKE_TAKEN)
		settle(intake, ask->done, ask->arg, verdict, id);
}

/* --- new readers --- */

static enum intake_verdict readers_put(struct intake *intake, const struct intake_object *object,
				       const struct visibility *visibility,
				       const struct post_view *view, uint64_t now_ns)
{
	struct post_readers readers = {
		.visibility = visibility, .bytes = object->bytes, .len = object->len};
	bool is_of_group;
	struct intake_run *run;
	int err;

	readers.marks = readers_marks(intake, view->author, visibility, &is_of_group);
	if (visibility->kind == VISIBILITY_RECIPIENTS)
		readers.marks |= view->flags & POST_DIRECT;
	run = run_new(intake, object->done, object->arg, view->id, now_ns);
	if (!run)
		return INTAKE_FAILED;
	run_from(run, object->from);
	err = social_posts_set_visibility(intake->params.posts, &readers,
					  (struct post_change_done){on_durable, run}, now_ns);
	if (err == 0)
		return INTAKE_TAKEN;
	run_free(run);
	return kept_as(err);
}

static enum intake_verdict readers_take(struct intake *intake, const struct intake_object *object,
					struct visibility *visibility, uint64_t now_ns)
{
	struct post_store *posts = intake->params.posts;
	struct post_view view;
	int err = social_visibility_read(object->bytes, object->len, visibility);

	if (err < 0)
		return judged_as(err);
	if (social_posts_look(posts, visibility->post, &view) < 0)
		return social_posts_known(posts, visibility->post) == POST_HELD ? INTAKE_BUSY
										: INTAKE_ABSENT;
	if (memcmp(view.author, visibility->author, NODE_KEY_LEN) != 0)
		return INTAKE_FORGED;
	if (is_blocked(intake, view.author))
		return INTAKE_BLOCKED;
	if (visibility->number == view.visibility_number)
		return INTAKE_KNOWN;
	if (visibility->number < view.visibility_number)
		return INTAKE_OLD;
	return readers_put(intake, object, visibility, &view, now_ns);
}

void social_intake_visibility(struct intake *intake, const struct intake_object *object,
			      uint64_t now_ns)
{
	struct visibility *visibility = malloc(sizeof(*visibility));
	enum intake_verdict verdict = INTAKE_FAILED;
	uint8_t id[POST_ID_LEN] = {0};

	if (visibility) {
		visibility->post = NULL;
		verdict = readers_take(intake, object, visibility, now_ns);
		if (visibility->post)
			memcpy(id, visibility->post, POST_ID_LEN);
	}
	free(visibility);
	if (verdict != INTAKE_TAKEN)
		settle(intake, object->done, object->arg, verdict, id);
}

/* --- deletions --- */

/* The author of one that is not here is a person that this node knows: others could fill the table. */
static bool may_precede(const struct intake *intake, const uint8_t *author)
{
	const struct intake_ways *ways = &intake->params.ways;

	return is_own(intake, author) || ways->is_followed(ways->ctx, author);
}

static enum intake_verdict deletion_take(struct intake *intake, const struct intake_object *object,
					 const struct post_deletion *deletion, uint64_t now_ns)
{
	const struct intake_ways *ways = &intake->params.ways;
	struct post_store *posts = intake->params.posts;
	struct post_removal removal = {deletion, object->bytes, object->len};
	struct post_view view;
	struct intake_run *run;
	int err;

	if (social_posts_known(posts, deletion->post) == POST_ABSENT &&
	    !may_precede(intake, deletion->author))
		return INTAKE_ABSENT;
	run = run_new(intake, object->done, object->arg, deletion->post, now_ns);
	if (!run)
		return INTAKE_FAILED;
	run_from(run, object->from);
	if (ways->will_go && social_posts_look(posts, deletion->post, &view) == 0 &&
	    memcmp(view.author, deletion->author, NODE_KEY_LEN) == 0)
		ways->will_go(ways->ctx, deletion->post, object->from);
	err = social_posts_remove(posts, &removal, (struct post_change_done){on_durable, run},
				  now_ns);
	if (err == 0)
		return INTAKE_TAKEN;
	run_free(run);
	return err == WEFT_EREFUSED ? INTAKE_FORGED : kept_as(err);
}

void social_intake_deletion(struct intake *intake, const struct intake_object *object,
			    uint64_t now_ns)
{
	struct post_deletion deletion;
	int err = social_deletion_read(object->bytes, object->len, &deletion);
	enum intake_verdict verdict =
		err < 0 ? judged_as(err) : deletion_take(intake, object, &deletion, now_ns);

	if (verdict != INTAKE_TAKEN)
		settle(intake, object->done, object->arg, verdict, err < 0 ? NULL : deletion.post);
}

/* --- profiles --- */

static enum intake_verdict profile_kept_as(int err)
{
	switch (err) {
	case 0:
		return INTAKE_TAKEN;
	case WEFT_EEXISTS:
		return INTAKE_KNOWN;
	case WEFT_ESTALE:
		return INTAKE_AHEAD;
	case WEFT_EREFUSED:
		return INTAKE_BLOCKED;
	case WEFT_EFULL:
		return INTAKE_FULL;
	case WEFT_EBUSY:
		return INTAKE_BUSY;
	default:
		return judged_as(err);
	}
}

void social_intake_profile(struct intake *intake, const struct intake_object *object,
			   uint64_t now_ns)
{
	const struct intake_ways *ways = &intake->params.ways;
	int err = ways->profile(ways->ctx, object, now_ns);

	settle(intake, object->done, object->arg, profile_kept_as(err), NULL);
}

/* --- life --- */

int social_intake_open(const struct intake_params *params, struct intake **out_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return -ENOMEM;
	intake->params = *params;
	list_init(&intake->runs);
	social_intake_groups_watch(intake);
	*out_intake = intake;
	return 0;
}

void social_intake_stop(struct intake *intake)
{
	if (intake)
		timer_cancel(intake->params.ground->timers, &intake->timer);
}

/* The store of posts was stopped before, so none of the runs is called any more. */
void social_intake_close(struct intake *intake)
{
	struct intake_run *run;

	if (!intake)
		return;
	social_intake_stop(intake);
	while ((run = list_first(&intake->runs, struct intake_run, node)))
		run_free(run);
	free(intake);
}

void social_intake_stats(const struct intake *intake, struct intake_stats *out_stats)
{
	*out_stats = intake->stats;
}
