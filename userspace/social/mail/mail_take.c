/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes that come. What is in one is judged like what a session brings. Nothing is believed of the
 * anchor that kept it, and the node that left it there is not known. A deposit is settled when
 * what was in it is durable.
 */
#include <errno.h>

#include "social/groups/groups.h"
#include "social/intake/post_intake.h"
#include "social/mail/mail_state.h"

static void settle(struct mail *mail, uint64_t ticket, int err)
{
	const struct mail_params *params = &mail->params;

	params->boxes.settle(params->ground->ctx, ticket, err);
}

/* --- the intake's verdict --- */

static void taking_judge(struct mail_taking *taking, enum intake_verdict verdict)
{
	switch (verdict) {
	case INTAKE_TAKEN:
	case INTAKE_KNOWN:
	case INTAKE_OLD:
	case INTAKE_DELETED:
		break;
	case INTAKE_FULL:
	case INTAKE_BUSY:
	case INTAKE_FAILED:
	case INTAKE_AHEAD: /* this node's clock may be the one that is wrong */
		taking->is_later = true;
		break;
	default:
		taking->is_unfit = true;
		break;
	}
}

static enum mail_verdict taking_end(struct mail_taking *taking)
{
	struct mail *mail = taking->mail;
	struct mail_taking was = *taking;

	pool_release(&mail->takings, taking);
	mail->stats.later_cnt += was.is_later;
	mail->stats.unwanted_cnt += was.is_unfit;
	mail->stats.taken_cnt += !was.is_later && !was.is_unfit;
	if (was.is_inside)
		return was.is_later ? MAIL_LATER : was.is_unfit ? MAIL_UNFIT : MAIL_TAKEN;
	settle(mail, was.ticket, was.is_later ? WEFT_EBUSY : 0);
	return MAIL_TAKEN;
}

static void on_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct mail_taking *taking = arg;

	(void)id;
	taking->is_over = true;
	taking_judge(taking, verdict);
	if (!taking->is_inside && !taking->mail->is_stopped)
		(void)taking_end(taking);
}

/* --- kinds --- */

/* Posts for people alone, and for this one: what is for others is not brought by this way. */
static bool is_for(struct mail *mail, const struct post_parts *parts, const uint8_t *recipient)
{
	struct visibility *visibility = &mail->visibility;

	return social_visibility_parse(parts->visibility, parts->visibility_len, visibility) == 0 &&
	       visibility->kind == VISIBILITY_RECIPIENTS &&
	       social_visibility_recipient(visibility, recipient);
}

static void object_take(struct mail_taking *taking, const struct mail_envelope *envelope,
			uint64_t now_ns)
{
	struct intake *intake = taking->mail->params.intake;
	const struct intake_ask ask = {.parts = envelope->parts,
				       .source = INTAKE_DEPOSIT,
				       .done = on_taken,
				       .arg = taking};
	const struct intake_object object = {.bytes = envelope->object,
					     .len = envelope->object_len,
					     .source = INTAKE_DEPOSIT,
					     .done = on_taken,
					     .arg = taking};

	if (envelope->kind == MAIL_POST)
		social_intake_post(intake, &ask, now_ns);
	else if (envelope->kind == MAIL_VISIBILITY)
		social_intake_visibility(intake, &object, now_ns);
	else
		social_intake_deletion(intake, &object, now_ns);
}

static enum mail_verdict intake_take(struct mail *mail, const struct mail_envelope *envelope,
				     uint64_t ticket, uint64_t now_ns)
{
	struct mail_taking *taking = pool_acquire(&mail->takings);
	enum mail_verdict verdict = MAIL_TAKEN;

	if (!taking) {
		mail->stats.later_cnt++;
		return MAIL_LATER;
	}
	*taking = (struct mail_taking){.mail = mail, .ticket = ticket, .is_inside = true};
	object_take(taking, envelope, now_ns);
	if (!taking->is_over) {
		taking->is_inside = false;
		return MAIL_TAKEN;
	}
	verdict = taking_end(taking);
	if (verdict == MAIL_TAKEN)
		settle(mail, ticket, 0);
	return verdict;
}

/* Its batch is before that of the deposit's mark, so it is durable when the anchor hears of it. */
static enum mail_verdict group_take(struct mail *mail, const struct mail_envelope *envelope,
				    uint64_t ticket, uint64_t now_ns)
{
	unsigned type = envelope->kind == MAIL_GROUP_KEY ? MESH_GROUP_KEY : MESH_GROUP_REKEY;
	int err = social_groups_left(mail->params.groups, type, envelope->object,
				     envelope->object_len, now_ns);

	if (err == WEFT_EFULL || err == WEFT_EBUSY || err == -ENOMEM) {
		mail->stats.later_cnt++;
		return MAIL_LATER;
	}
	if (err < 0) {
		mail->stats.unwanted_cnt++;
		return MAIL_UNFIT;
	}
	mail->stats.taken_cnt++;
	settle(mail, ticket, 0);
	return MAIL_TAKEN;
}

enum mail_verdict social_mail_take(struct mail *mail, const struct mail_arrival *arrival,
				   uint64_t now_ns)
{
	struct mail_envelope envelope;

	if (!mail || mail->is_stopped)
		return MAIL_LATER;
	mail->stats.came_cnt++;
	if (social_envelope_parse(arrival->bytes, arrival->len, &envelope) < 0) {
		mail->stats.malformed_cnt++;
		return MAIL_UNFIT;
	}
	if (envelope.kind == MAIL_POST && !is_for(mail, &envelope.parts, arrival->recipient)) {
		mail->stats.stray_cnt++;
		return MAIL_UNFIT;
	}
	return envelope.kind >= MAIL_GROUP_KEY
		       ? group_take(mail, &envelope, arrival->ticket, now_ns)
		       : intake_take(mail, &envelope, arrival->ticket, now_ns);
}
