/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a post of this node: further editions, and its deletion. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "social/ground/social_ground.h"
#include "social/write/social_write_state.h"

/* --- editions --- */

/* The former edition's readers, as those of a draft. */
struct edit_base {
	struct opened_post *opened;
	struct visibility *visibility;
	uint8_t (*readers)[NODE_KEY_LEN];
};

static void edit_base_fini(struct edit_base *base)
{
	social_opened_free(base->opened);
	free(base->visibility);
	free(base->readers);
}

static int edit_base_init(struct social_write *write, const uint8_t *id, struct edit_base *base)
{
	uint8_t latest[POST_ID_LEN];
	unsigned cnt;
	int err = social_read_latest(write->params.read, id, latest);

	if (err < 0 || (err = social_read_open(write->params.read, latest, &base->opened)) < 0 ||
	    (err = social_read_visibility(base->opened, &base->visibility)) < 0)
		return err;
	if (social_persona_of(write->params.people, base->opened->post.author) ==
	    SOCIAL_PERSONA_NONE)
		return WEFT_EREFUSED;
	cnt = base->visibility->recipient_cnt;
	if (!(base->readers = calloc(cnt + 1, sizeof(*base->readers))))
		return -ENOMEM;
	for (unsigned i = 0; i < cnt; i++)
		memcpy(base->readers[i], base->visibility->recipients[i].reader, NODE_KEY_LEN);
	return 0;
}

static struct write_draft edit_draft(const struct write_edit *edit, const struct edit_base *base)
{
	static const enum post_intent intents[] = {
		[VISIBILITY_PUBLIC] = POST_TO_ALL,
		[VISIBILITY_RECIPIENTS] = POST_TO_PEOPLE,
		[VISIBILITY_GROUP] = POST_TO_GROUP,
	};
	const struct opened_post *opened = base->opened;

	return (struct write_draft){
		.intent = intents[opened->view.kind],
		.group = base->visibility->group.group,
		.people = (const uint8_t(*)[NODE_KEY_LEN])base->readers,
		.person_cnt = base->visibility->recipient_cnt,
		.is = opened->is,
		.text = edit->text,
		.text_len = edit->text_len,
		.parent = opened->post.parent,
		.mentions = edit->mentions,
		.mention_cnt = edit->mention_cnt,
		.attachments = edit->has_attachments ? edit->attachments : opened->post.attachments,
		.attachment_cnt =
			edit->has_attachments ? edit->attachment_cnt : opened->post.attachment_cnt,
		.content_key = edit->has_attachments	     ? edit->content_key
			       : opened->post.attachment_cnt ? opened->content_key
							     : NULL,
		.done = edit->done,
		.arg = edit->arg,
	};
}

/*
 * The time is a millisecond behind that of the edition before. So a post keeps its place in feeds, and of
 * two editions the later one is known.
 */
static int edition_make(struct social_write *write, const struct write_edit *edit,
			const struct edit_base *base, uint64_t now_ns)
{
	const struct opened_post *opened = base->opened;
	struct write_draft draft = edit_draft(edit, base);
	struct post_work work = {
		.write = write,
		.draft = &draft,
		.author = social_own_key(write->params.people, opened->post.author),
		.supersedes = opened->view.id,
		.time_ms = opened->view.time_ms + 1,
		.now_ns = now_ns,
	};

	draft.persona = social_persona_of(write->params.people, opened->post.author);
	if (!(work.run = social_run_new(write, edit->done, edit->arg)))
		return -ENOMEM;
	memcpy(work.run->logical_id, opened->view.logical_id, POST_LOGICAL_ID_LEN);
	return social_work_run(&work);
}

int social_write_edit(struct social_write *write, const struct write_edit *edit, uint64_t now_ns)
{
	struct edit_base base = {NULL, NULL, NULL};
	int err = write->stats.under_way_cnt == WRITES_MAX ? WEFT_EBUSY
							   : edit_base_init(write, edit->id, &base);

	if (err == 0)
		err = edition_make(write, edit, &base, now_ns);
	edit_base_fini(&base);
	return err;
}

/* --- deletions --- */

/* The editions of a post that are here. */
struct editions {
	const uint8_t *logical_id;
	unsigned cnt;
	uint8_t ids[POSTS_EDITIONS_MAX][POST_ID_LEN];
};

static bool edition_add(void *arg, const struct post_view *view)
{
	struct editions *editions = arg;

	if (memcmp(view->logical_id, editions->logical_id, POST_LOGICAL_ID_LEN) == 0)
		memcpy(editions->ids[editions->cnt++], view->id, POST_ID_LEN);
	return editions->cnt < POSTS_EDITIONS_MAX;
}

static void edition_delete(struct write_run *run, const struct node_key *author, const uint8_t *id,
			   uint64_t now_ns)
{
	struct social_write *write = run->write;
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct post_deletion deletion = {.post = id,
					       .time_ms = social_wall_ms(write->params.ground)};
	struct intake_object object = {
		.bytes = bytes, .source = INTAKE_OWN, .done = social_part_taken, .arg = run};

	social_deletion_write(&w, &deletion, author);
	object.len = writer_len(&w);
	run->part_cnt++;
	write->stats.deleted_cnt++;
	social_intake_deletion(write->params.intake, &object, now_ns);
}

static int editions_find(struct social_write *write, const struct post_view *view,
			 struct editions *editions)
{
	const struct post_walk walk = {.author = view->author};
	struct post_cursor next;
	int more;

	editions->logical_id = view->logical_id;
	more = social_posts_walk(write->params.posts, &walk, edition_add, editions, &next);
	return more < 0 ? more : 0;
}

static int editions_delete(struct social_write *write, const struct write_delete *ask,
			   const struct post_view *view, uint64_t now_ns)
{
	const struct node_key *author = social_own_key(write->params.people, view->author);
	struct editions *editions = author ? calloc(1, sizeof(*editions)) : NULL;
	struct write_run *run = NULL;
	int err = !author ? WEFT_EREFUSED : editions ? 0 : -ENOMEM;

	if (err == 0)
		err = editions_find(write, view, editions);
	if (err == 0 && !(run = social_run_new(write, ask->done, ask->arg)))
		err = -ENOMEM;
	if (err == 0) {
		memcpy(run->id, view->id, POST_ID_LEN);
		/* No token makes this one: the run is found by none. */
		random_fill(write->params.ground->random, run->logical_id, POST_LOGICAL_ID_LEN);
		for (unsigned i = 0; i < editions->cnt; i++)
			edition_delete(run, author, editions->ids[i], now_ns);
		social_part_end(run, 0);
	}
	free(editions);
	return err;
}

int social_write_delete(struct social_write *write, const struct write_delete *deletion,
			uint64_t now_ns)
{
	struct post_view view;
	int err;

	if (write->stats.under_way_cnt == WRITES_MAX)
		return WEFT_EBUSY;
	if ((err = social_posts_look(write->params.posts, deletion->id, &view)) < 0)
		return err;
	return editions_delete(write, deletion, &view, now_ns);
}
