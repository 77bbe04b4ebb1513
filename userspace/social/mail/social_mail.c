/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that wait for their readers. A row is looked at when it is due. That is at once where the reader
 * has no session, else when a session had time to give it. After a start, posts are looked at in slices, so that
 * a long history holds nothing up.
 */
#include "social/mail/social_mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "social/holders/post_holders.h"
#include "social/mail/mail_state.h"
#include "social/people/person_follows.h"
#include "social/people/personas.h"
#include "social/routes/social_search.h"

#define SESSION_NS     (20 * NS_PER_S) /* a session gives a message within that, or it is left */
#define ROWS_PER_TURN  16u
#define TURN_NS	       (10 * NS_PER_MS)
#define RECOVERY_POSTS 32u /* in a turn */

/* --- rows --- */

static struct mail_row *row_find(const struct mail *mail, const uint8_t *post,
				 const uint8_t *person)
{
	struct mail_row *row = NULL;

	while ((row = pool_next(&mail->rows, row)))
		if (memcmp(row->post, post, POST_ID_LEN) == 0 &&
		    memcmp(row->person, person, NODE_KEY_LEN) == 0)
			break;
	return row;
}

void social_mail_row_drop(struct mail *mail, struct mail_row *row)
{
	const struct mail_params *params = &mail->params;

	if (row->has_id)
		params->boxes.withdraw(params->ground->ctx, row->id);
	pool_release(&mail->rows, row);
}

bool social_mail_has_session(const struct mail *mail, const uint8_t *key)
{
	const struct mesh_seam *mesh = &mail->params.ground->mesh;
	uint8_t session[MESH_SESSION_ID_LEN];

	return mesh->ops->session(mesh->mesh, key, session) == 0;
}

bool social_mail_is_given(const struct mail *mail, const uint8_t *post, const uint8_t *person)
{
	struct post_holder holder;

	return social_holders_find(mail->params.holders, post, person, &holder) == 0 &&
	       (holder.flags & (HOLDER_GIVEN | HOLDER_HAS));
}

static void row_add(struct mail *mail, const uint8_t *post, const uint8_t *person, uint64_t due_ns)
{
	struct mail_row *row = pool_acquire(&mail->rows);

	if (!row) {
		mail->stats.unplaced_cnt++;
		return;
	}
	row->mail = mail;
	memcpy(row->post, post, POST_ID_LEN);
	memcpy(row->person, person, NODE_KEY_LEN);
	row->due_ns = due_ns;
}

void social_mail_word(struct mail *mail, const uint8_t person[static NODE_KEY_LEN],
		      const uint8_t post[static POST_ID_LEN], uint64_t now_ns)
{
	if (!mail || mail->is_stopped || !mail->params.boxes.put)
		return;
	row_add(mail, post, person,
		social_mail_has_session(mail, person) ? now_ns + SESSION_NS : now_ns);
	social_mail_due(mail, now_ns);
}

/* --- what is given --- */

static void on_marked(void *arg, int err)
{
	struct mail_row *row = arg;

	row->is_marking = false;
	if (err == 0 && !row->mail->is_stopped)
		social_mail_row_drop(row->mail, row);
}

void social_mail_delivered(struct mail *mail, const uint8_t id[static MAIL_ID_LEN], uint64_t now_ns)
{
	struct holders_give give = {.post_cnt = 1, .done = on_marked};
	struct mail_row *row = NULL;

	if (!mail || mail->is_stopped)
		return;
	while ((row = pool_next(&mail->rows, row)))
		if (row->has_id && memcmp(row->id, id, MAIL_ID_LEN) == 0)
			break;
	if (!row || row->is_marking)
		return;
	mail->stats.given_cnt++;
	row->is_marking = true;
	row->due_ns = now_ns + SESSION_NS;
	give.person = row->person;
	give.posts = (const uint8_t(*)[POST_ID_LEN])row->post;
	give.arg = row;
	if (social_holders_give(mail->params.holders, &give) < 0)
		row->is_marking = false;
}

/* --- a start --- */

struct slice {
	struct mail *mail;
	unsigned cnt;
	bool is_too_old;
	uint64_t now_ns;
};

static bool is_old(const struct mail *mail, const struct post_view *view)
{
	return view->time_ms + MAIL_LIFE_MS < social_wall_ms(mail->params.ground);
}

static void readers_add(struct mail *mail, const uint8_t *post, uint64_t now_ns)
{
	const struct people *people = mail->params.people;
	struct visibility *visibility = &mail->visibility;
	struct post_copy *copy;

	if (social_posts_read(mail->params.posts, post, &copy) < 0)
		return;
	if (social_visibility_parse(copy->parts.visibility, copy->parts.visibility_len,
				    visibility) == 0 &&
	    visibility->kind == VISIBILITY_RECIPIENTS)
		for (unsigned i = 0; i < visibility->recipient_cnt; i++) {
			const uint8_t *reader = visibility->recipients[i].reader;

			if (!social_own_key(people, reader) && !social_is_blocked(people, reader) &&
			    !social_mail_is_given(mail, post, reader) &&
			    !row_find(mail, post, reader))
				row_add(mail, post, reader, now_ns);
		}
	social_post_copy_free(copy);
}

static bool view_look(void *arg, const struct post_view *view)
{
	struct slice *slice = arg;
	struct mail_recovery *recovery = &slice->mail->recovery;

	if (is_old(slice->mail, view)) {
		slice->is_too_old = true;
		return false;
	}
	readers_add(slice->mail, view->id, slice->now_ns);
	recovery->has_cursor = true;
	recovery->cursor.time_ms = view->time_ms;
	memcpy(recovery->cursor.id, view->id, POST_ID_LEN);
	return ++slice->cnt < RECOVERY_POSTS;
}

static void recovery_run(struct mail *mail, uint64_t now_ns)
{
	struct mail_recovery *recovery = &mail->recovery;
	struct slice slice = {.mail = mail, .now_ns = now_ns};
	struct post_cursor next;
	struct post_walk walk = {
		.from = recovery->has_cursor ? &recovery->cursor : NULL,
		.flags_all = POST_DIRECT,
		.flags_none = POST_SUPERSEDED,
	};
	int more;

	if (recovery->persona >= social_persona_cnt(mail->params.people)) {
		recovery->is_over = true;
		return;
	}
	walk.author = node_key_public(social_persona(mail->params.people, recovery->persona));
	more = social_posts_walk(mail->params.posts, &walk, view_look, &slice, &next);
	if (more > 0 && !slice.is_too_old) {
		if (slice.cnt < RECOVERY_POSTS)
			recovery->cursor = next;
		recovery->has_cursor = true;
		return;
	}
	recovery->persona++;
	recovery->has_cursor = false;
}

/* --- time --- */

void social_mail_due(struct mail *mail, uint64_t now_ns)
{
	uint64_t next_ns = mail->recovery.is_over ? TIMER_NEVER : now_ns + TURN_NS;
	const struct mail_row *row = NULL;

	if (mail->is_stopped)
		return;
	while ((row = pool_next(&mail->rows, row)))
		if (row->due_ns < next_ns)
			next_ns = row->due_ns;
	timer_set(mail->params.ground->timers, &mail->timer, next_ns > now_ns ? next_ns : now_ns);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct mail *mail = container_of(timer, struct mail, timer);
	struct mail_row *row = NULL;
	unsigned cnt = 0;

	if (!mail->recovery.is_over)
		recovery_run(mail, now_ns);
	while (cnt < ROWS_PER_TURN && (row = pool_next(&mail->rows, row))) {
		if (row->due_ns > now_ns)
			continue;
		social_mail_row_run(mail, row, now_ns);
		cnt++;
	}
	social_mail_due(mail, cnt < ROWS_PER_TURN ? now_ns : now_ns + TURN_NS);
}

/* Other readers, or none any more: rows of the post are looked at now. */
static void on_post_moved(void *ctx, enum post_moved what, const struct post_view *view,
			  uint64_t now_ns)
{
	struct mail *mail = ctx;
	struct mail_row *row = NULL;

	if (what == POST_MOVED_PUT || what == POST_MOVED_MARK || view->share != POST_OWN)
		return;
	while ((row = pool_next(&mail->rows, row)))
		if (memcmp(row->post, view->id, POST_ID_LEN) == 0)
			row->due_ns = now_ns;
	social_mail_due(mail, now_ns);
}

/*
 * Nothing goes to a person that is blocked. What is in the outbox is taken back at once, so before the
 * block is durable.
 */
static void on_people(void *ctx, const struct people_change *change, uint64_t now_ns)
{
	struct mail *mail = ctx;
	struct mail_row *row = NULL, *next;

	(void)now_ns;
	if (change->kind != PEOPLE_BLOCKED)
		return;
	for (row = pool_next(&mail->rows, NULL); row; row = next) {
		next = pool_next(&mail->rows, row);
		/* One that is being marked as given goes behind that. */
		if (row->is_marking || memcmp(row->person, change->person, NODE_KEY_LEN) != 0)
			continue;
		mail->stats.withdrawn_cnt++;
		social_mail_row_drop(mail, row);
	}
}

/* --- life --- */

static int lay_out(struct mail *mail)
{
	int err = arena_open(&mail->arena, ARENA_GROWS);

	if (err < 0 ||
	    (err = pool_init(&mail->rows, &mail->arena, sizeof(struct mail_row), MAIL_ROWS_MAX)) <
		    0 ||
	    (err = pool_init(&mail->takings, &mail->arena, sizeof(struct mail_taking),
			     MAIL_TAKINGS_MAX)) < 0)
		return err;
	arena_fit(&mail->arena);
	return 0;
}

size_t social_mail_footprint(void)
{
	return sizeof(struct mail) + MAIL_ROWS_MAX * sizeof(struct mail_row) +
	       MAIL_TAKINGS_MAX * sizeof(struct mail_taking);
}

int social_mail_open(const struct mail_params *params, struct mail **out_mail)
{
	struct mail *mail = calloc(1, sizeof(*mail));
	int err;

	if (!mail)
		return -ENOMEM;
	mail->params = *params;
	timer_init(&mail->timer, on_due);
	if ((err = lay_out(mail)) < 0) {
		arena_close(&mail->arena);
		free(mail);
		return err;
	}
	node_key_derive(params->ground->key, "social-mail", mail->secret);
	mail->watch = (struct post_watch){.moved = on_post_moved, .ctx = mail};
	social_posts_watch(params->posts, &mail->watch);
	mail->people_watch = (struct people_watch){.changed = on_people, .ctx = mail};
	social_people_watch(params->people, &mail->people_watch);
	mail->recovery.is_over = !params->boxes.put;
	social_mail_due(mail, params->now_ns);
	social_mail_pull_begin(mail, params->now_ns);
	*out_mail = mail;
	return 0;
}

void social_mail_stop(struct mail *mail)
{
	if (!mail || mail->is_stopped)
		return;
	mail->is_stopped = true;
	timer_cancel(mail->params.ground->timers, &mail->timer);
	timer_cancel(mail->params.ground->timers, &mail->pull_timer);
	social_posts_unwatch(&mail->watch);
	social_people_unwatch(&mail->people_watch);
	social_search_forget(mail->params.searches, mail);
}

void social_mail_close(struct mail *mail)
{
	if (!mail)
		return;
	social_mail_stop(mail);
	arena_close(&mail->arena);
	explicit_bzero(mail->secret, sizeof(mail->secret));
	free(mail);
}

void social_mail_stats(const struct mail *mail, struct social_mail_stats *out_stats)
{
	*out_stats = mail->stats;
	out_stats->waiting_cnt = mail->rows.used_cnt;
}
