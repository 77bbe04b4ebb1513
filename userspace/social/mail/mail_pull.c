/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anchors of this node's people are asked for what was left there: at the start, each half hour, and when
 * a session with one begins. Deposits ask in each session by themselves for what is for the node's own key,
 * so that is asked here only to make one. A persona's key signs at the anchors alone that its profile names.
 * One that is reached by them alone is left out: a pull is by the node's own key, and would link the two.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "social/mail/mail_state.h"
#include "social/people/person_profiles.h"

#define FIRST_NS (2 * NS_PER_S)	   /* check-ins make sessions before */
#define ROUND_NS (300 * NS_PER_S)  /* personas at anchors in session */
#define DIAL_NS	 (1800 * NS_PER_S) /* anchors without a session */

static void pull(struct mail *mail, const uint8_t *store, const struct node_key *key,
		 uint64_t now_ns)
{
	const struct mail_params *params = &mail->params;

	mail->stats.pull_cnt++;
	social_mail_note_anchor(mail, store, NULL, now_ns);
	/* One that cannot be asked now is asked in the next round. */
	(void)!params->boxes.pull(params->ground->ctx, store, key, now_ns);
}

static bool is_enabled(const struct mail *mail, const uint8_t *anchor)
{
	const struct mail_params *params = &mail->params;
	uint8_t key[NODE_KEY_LEN];

	for (unsigned i = 0; params->anchor(params->ctx, i, key); i++)
		if (memcmp(key, anchor, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

/* A persona at the anchors of its profile: those in session, and with dials the others. */
static void persona_pull(struct mail *mail, unsigned idx, bool dials, uint64_t now_ns)
{
	const struct node_key *key = social_persona(mail->params.people, idx);
	const struct person *person = social_person(mail->params.people, node_key_public(key));
	uint8_t anchors[PROFILE_ANCHORS_MAX][NODE_KEY_LEN];
	unsigned cnt = person ? person->anchor_cnt : 0;

	/* The session is of the node's own key, and would link the two. */
	if (social_persona_is_via_anchors(mail->params.people, idx))
		return;
	if (cnt > 0)
		memcpy(anchors, person->anchors, cnt * NODE_KEY_LEN);
	for (unsigned i = 0; i < cnt; i++)
		if ((dials || social_mail_has_session(mail, anchors[i])) &&
		    is_enabled(mail, anchors[i]))
			pull(mail, anchors[i], key, now_ns);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct mail *mail = container_of(timer, struct mail, pull_timer);
	const struct mail_params *params = &mail->params;
	uint8_t anchor[NODE_KEY_LEN];
	bool dials = now_ns >= mail->dial_ns;

	for (unsigned i = 0; dials && params->anchor(params->ctx, i, anchor); i++)
		if (!social_mail_has_session(mail, anchor))
			pull(mail, anchor, NULL, now_ns);
	for (unsigned i = 1; i < social_persona_cnt(params->people); i++)
		persona_pull(mail, i, dials, now_ns);
	if (dials)
		mail->dial_ns = now_ns + DIAL_NS;
	timer_set(params->ground->timers, timer, now_ns + ROUND_NS);
}

void social_mail_session_up(struct mail *mail, const uint8_t *key, uint64_t now_ns)
{
	if (!mail || mail->is_stopped || !mail->params.boxes.pull)
		return;
	for (unsigned i = 1; i < social_persona_cnt(mail->params.people); i++)
		if (social_persona_names(mail->params.people, i, key)) {
			timer_set(mail->params.ground->timers, &mail->pull_timer, now_ns);
			return;
		}
}

void social_mail_pull_begin(struct mail *mail, uint64_t now_ns)
{
	timer_init(&mail->pull_timer, on_due);
	if (mail->params.boxes.pull)
		timer_set(mail->params.ground->timers, &mail->pull_timer, now_ns + FIRST_NS);
}
