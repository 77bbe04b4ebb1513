/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_MAIL_MAIL_STATE_H
#define WEFT_SOCIAL_MAIL_MAIL_STATE_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/keep/post_store.h"
#include "social/mail/mail_envelope.h"
#include "social/mail/social_mail.h"
#include "social/object/visibility.h"
#include "social/people/people.h"

/* Private to this folder. */
#define MAIL_SECRET_LEN 32u

/* A message of this node for one reader that it was not given yet. */
struct mail_row {
	struct mail *mail;
	uint8_t post[POST_ID_LEN], person[NODE_KEY_LEN];
	uint8_t id[MAIL_ID_LEN]; /* of its deposit, when one was in the outbox */
	bool has_id;
	bool is_marking; /* that it was given is on its way to the disk; row stays until then */
	uint64_t due_ns; /* when it is looked at */
};

/* A deposit in the hands of the intake. */
struct mail_taking {
	struct mail *mail;
	uint64_t ticket;
	bool is_inside; /* the call that began it has not returned */
	bool is_over;
	bool is_unfit, is_later;
};

/* Posts of this node that are looked at after a start. */
struct mail_recovery {
	bool is_over;
	unsigned persona;
	bool has_cursor;
	struct post_cursor cursor;
};

struct mail {
	struct mail_params params;
	struct arena arena;
	struct pool rows, takings;
	struct timer timer, pull_timer;
	struct post_watch watch;
	struct people_watch people_watch;
	struct mail_recovery recovery;
	uint64_t dial_ns; /* when anchors without a session are asked again */
	uint8_t secret[MAIL_SECRET_LEN];
	bool is_stopped;
	struct social_mail_stats stats;
	/* Of one call. */
	struct visibility visibility;
	uint8_t made[MAIL_ENVELOPE_LEN_MAX + 64];
};

/* --- social_mail.c --- */

/* social_mail_due: rows may be due earlier. social_mail_row_drop takes its deposits back, too. */
void social_mail_due(struct mail *mail, uint64_t now_ns);
void social_mail_row_drop(struct mail *mail, struct mail_row *row);
/* social_mail_has_session: with the node of key. */
bool social_mail_has_session(const struct mail *mail, const uint8_t *key);
/* social_mail_is_given: person has the post, as far as this node knows. */
bool social_mail_is_given(const struct mail *mail, const uint8_t *post, const uint8_t *person);

/* --- mail_leave.c --- */

/* social_mail_row_run: row is due. It may be gone behind this. */
void social_mail_row_run(struct mail *mail, struct mail_row *row, uint64_t now_ns);

/*
 * social_mail_note_anchor: person (NULL: the one at this node) names anchor. From here on it has a route, and
 * is told to no locator.
 */
void social_mail_note_anchor(struct mail *mail, const uint8_t *anchor, const uint8_t *person,
			     uint64_t now_ns);

/* --- mail_pull.c --- */

void social_mail_pull_begin(struct mail *mail, uint64_t now_ns);

#endif
