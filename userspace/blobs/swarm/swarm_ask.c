/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks: the member that each goes to, and the handling of failures.
 *
 * A failure of the way (no answer, the session went, too slow) or of the moment (busy) pauses
 * that source, longer each time. A failure of substance (it has not got it, it changed, the key
 * is wrong) goes to another member. When none is left, the last failure is reported.
 */
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "swarm_state.h"
#include "crypto/blake3/blake3.h"
#include "blobs/blobs_state.h"

#define RETRY_NS (10 * NS_PER_MS)

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns);

/* --- the list --- */

static void ask_unlink(struct swarm_ask *ask)
{
	struct swarm_ask **at = &ask->swarm->asks;

	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	ask->swarm = NULL;
}

static void ask_end(struct swarm_ask *ask, const struct swarm_answer *answer, uint64_t now_ns)
{
	ask_unlink(ask);
	ask->done(ask->arg, answer, now_ns);
}

static bool has_failed_at(const struct swarm_ask *ask, const struct swarm_member *member)
{
	unsigned idx = blobs_swarm_member_idx(member);

	return ask->failed[idx / 64] >> idx % 64 & 1;
}

static void fail_at(struct swarm_ask *ask, const struct swarm_member *member)
{
	unsigned idx = blobs_swarm_member_idx(member);

	ask->failed[idx / 64] |= 1ull << idx % 64;
}

void blobs_swarm_asks_forget(struct swarm *swarm, const struct swarm_member *member)
{
	unsigned idx = blobs_swarm_member_idx(member);

	for (struct swarm_ask *ask = swarm->asks; ask; ask = ask->next)
		ask->failed[idx / 64] &= ~(1ull << idx % 64);
}

/* --- sending --- */

#define CREDIT_LOOK_NS (250 * NS_PER_MS) /* as often as credits grow */

static bool is_of_bytes(const struct swarm_ask *ask)
{
	return ask->type == MESH_GET_CHUNK || ask->type == MESH_RANGE_PROOF;
}

/* When as many bytes as may be are asked of it, it has to wait. */
static void wait_notice(struct swarm_member *member, uint64_t now_ns)
{
	if (member->source->not_before_ns > now_ns)
		blobs_swarm_tend_at(member->swarm, member->source->not_before_ns);
}

/* Bytes are asked for: a whole chunk, whatever will come. */
static void limits_take(struct swarm_ask *ask, struct swarm_member *member, uint64_t now_ns)
{
	struct blobs *content = member->swarm->swarms->content;

	ask->taken_len = is_of_bytes(ask) ? BLAKE3_CHUNK_LEN : 0;
	if (!ask->taken_len)
		return;
	blobs_download_take(content, ask->taken_len, now_ns);
	ask->zone = member->source->zone;
	ask->credit_len = SWARM_CREDIT_LEN;
	blobs_credit_take(&content->credits[BLOBS_DOWNLOADS][ask->zone], ask->credit_len);
	blobs_source_limit(member->source, blobs_limit(content, BLOBS_LIMIT_DOWNLOAD_PEER),
			   ask->taken_len, now_ns);
	wait_notice(member, now_ns);
}

/* len of the bytes taken for it came; more than that cannot, but for a proof's hashes. */
static void credit_settle(struct swarm_ask *ask, struct swarms *swarms, size_t len)
{
	struct blobs_credit *credit = &swarms->content->credits[BLOBS_DOWNLOADS][ask->zone];

	if (len > ask->credit_len)
		blobs_credit_take(credit, len - ask->credit_len);
	else
		blobs_credit_give_back(credit, ask->credit_len - len);
	ask->credit_len = 0;
}

/* came_len of len bytes came; the rest is given back, so a cancelled ask costs nothing. */
static void limits_settle(struct swarm_ask *ask, struct swarm_member *member, size_t len,
			  size_t came_len)
{
	struct swarms *swarms = member->swarm->swarms;

	if (!ask->taken_len)
		return;
	credit_settle(ask, swarms, came_len);
	len = len < ask->taken_len ? len : ask->taken_len;
	blobs_download_settle(swarms->content, ask->taken_len, len, swarms->now_ns);
	blobs_source_limit_give_back(member->source, ask->taken_len - len);
	ask->taken_len = 0;
	wait_notice(member, swarms->now_ns);
}

/* The request, under one of the names that what it asks for may have with member. */
static struct message_request request_named(const struct swarm_ask *ask,
					    struct swarm_member *member, uint64_t now_ns)
{
	struct message_request request = ask->request;
	struct blobs_ways ways;
	uint8_t name[BLIND_ID_LEN];

	blobs_swarm_ways(member, now_ns, &ways);
	request.is_blind =
		blobs_name(&ways, member->way + ask->way_cnt, request.id, name) == BLIND_ID_LEN;
	memcpy(request.id, name, sizeof(request.id));
	if (request.is_blind)
		memcpy(request.veiled, name + sizeof(request.id), sizeof(request.veiled));
	return request;
}

static int ask_send(struct swarm_ask *ask, struct swarm_member *member, uint64_t now_ns)
{
	uint8_t payload[MESSAGE_REQUEST_CAP];
	struct message_request request = request_named(ask, member, now_ns);
	struct mesh_ask sent = {
		.type = ask->type,
		.payload = payload,
		.payload_len = blobs_message_request_write(ask->type, &request, payload),
		.reply_buf = ask->buf,
		.reply_cap = ask->cap,
		.stall_ns = ask->stall_ns,
		.reply = on_reply,
		.arg = ask,
	};
	int err = blobs_swarm_send(member, &sent, now_ns, &ask->request_out);

	if (err)
		return err;
	memcpy(ask->name, request.id, sizeof(ask->name));
	ask->member = member;
	ask->asked_ns = now_ns;
	member->asked_cnt++;
	blobs_source_asked(member->source, now_ns);
	limits_take(ask, member, now_ns);
	return 0;
}

static bool is_left_out(const struct swarm_ask *ask, const struct swarm_member *member)
{
	for (unsigned i = 0; i < ask->not_of_cnt; i++)
		if (memcmp(ask->not_of[i], member->source->key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

static bool may_be_asked(const struct swarm_ask *ask, const struct swarm_member *member)
{
	return member->state == MEMBER_OPEN && blobs_swarm_member_is_usable(member) &&
	       !has_failed_at(ask, member) && !is_left_out(ask, member) &&
	       (ask->type == MESH_GET_MANIFEST ||
		blobs_swarm_member_has(member, ask->item, ask->chunk));
}

/* The best member for ask; *out_is_hopeful: one that may be asked later. */
static struct swarm_member *ask_choose(const struct swarm_ask *ask, uint64_t now_ns,
				       bool *out_is_hopeful)
{
	struct swarm *swarm = ask->swarm;
	struct swarm_member *best = NULL;

	*out_is_hopeful = false;
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];

		if (!member->source || !may_be_asked(ask, member))
			continue;
		*out_is_hopeful = true;
		if (is_of_bytes(ask) && !blobs_swarm_member_has_credit(member)) {
			/* That is no fault of the member's, however long it lasts. */
			swarm->progress_ns = now_ns;
			blobs_swarm_tend_at(swarm, now_ns + CREDIT_LOOK_NS);
			continue;
		}
		if (blobs_swarm_member_has_room(member, now_ns) &&
		    (!best || blobs_source_rank(member->source) < blobs_source_rank(best->source)))
			best = member;
	}
	return best;
}

/* No member could answer: is that going to change? */
static bool ask_is_over(const struct swarm_ask *ask, bool is_hopeful, uint64_t now_ns)
{
	const struct swarm *swarm = ask->swarm;

	if (is_hopeful)
		return now_ns - swarm->progress_ns >= SWARM_GIVE_UP_NS;
	return blobs_swarm_outlook(swarm, now_ns) != SWARM_WAITING;
}

/* The limit of downloads holds it; a caller that chooses a member looks at that before. */
static bool ask_is_held(const struct swarm_ask *ask, uint64_t now_ns)
{
	uint64_t at_ns = blobs_download_ns(ask->swarm->swarms->content, now_ns);

	if (!is_of_bytes(ask) || at_ns <= now_ns)
		return false;
	blobs_swarm_tend_at(ask->swarm, at_ns);
	return true;
}

/* True when the request is sent. *out_is_over: the ask ended, and the caller reports it. */
static bool ask_try(struct swarm_ask *ask, uint64_t now_ns, bool *out_is_over)
{
	struct swarm_member *member;
	bool is_hopeful;
	int err;

	*out_is_over = false;
	if (ask_is_held(ask, now_ns))
		return false;
	member = ask_choose(ask, now_ns, &is_hopeful);
	err = member ? ask_send(ask, member, now_ns) : WEFT_EABSENT;
	*out_is_over = !member && ask_is_over(ask, is_hopeful, now_ns);
	if (err == WEFT_EFULL)
		blobs_swarm_tend_at(ask->swarm, now_ns + RETRY_NS);
	return err == 0;
}

int blobs_swarm_ask(struct swarm *swarm, struct swarm_ask *ask, uint64_t now_ns)
{
	bool is_over;
	int err = 0;

	swarm->swarms->now_ns = now_ns;
	ask->swarm = swarm;
	ask->member = NULL;
	ask->request_out = NULL;
	ask->lost_cnt = ask->way_cnt = 0;
	memset(ask->failed, 0, sizeof(ask->failed));
	ask->next = swarm->asks;
	swarm->asks = ask;
	if (ask->from)
		err = ask_send(ask, ask->from, now_ns);
	else if (!ask_try(ask, now_ns, &is_over) && is_over)
		blobs_swarm_changed(swarm); /* its end is reported in a later turn */
	if (err)
		ask_unlink(ask);
	return err;
}

/* Bytes that came of an answer so far; of a mesh that does not tell, all that may have. */
static size_t request_came_len(const struct swarm_ask *ask)
{
	const struct mesh_ops *ops = ask->swarm->swarms->content->params.mesh.ops;

	return ops->received ? ops->received(ask->request_out) : ask->credit_len;
}

static void ask_request_cancel(struct swarm_ask *ask)
{
	size_t came_len;

	if (!ask->request_out)
		return;
	came_len = request_came_len(ask);
	ask->swarm->swarms->content->params.mesh.ops->cancel(ask->request_out);
	ask->request_out = NULL;
	ask->member->asked_cnt--;
	blobs_source_dropped(ask->member->source);
	limits_settle(ask, ask->member, 0, came_len);
	ask->member = NULL;
}

void blobs_swarm_cancel(struct swarm_ask *ask)
{
	if (!ask->swarm)
		return;
	ask_request_cancel(ask);
	ask_unlink(ask);
}

static struct swarm_ask *ask_at(struct swarm *swarm, const struct swarm_member *member)
{
	struct swarm_ask *ask = swarm->asks;

	while (ask && ask->member != member)
		ask = ask->next;
	return ask;
}

void blobs_swarm_asks_take_back(struct swarm_member *member, uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;
	struct swarm_answer answer = {.err = WEFT_EDAMAGED, .detail = swarm->fail_detail};
	struct swarm_ask *ask;

	while ((ask = ask_at(swarm, member))) {
		ask_request_cancel(ask);
		if (ask->from)
			ask_end(ask, &answer, now_ns);
	}
}

void blobs_swarm_asks_run(struct swarm *swarm, uint64_t now_ns)
{
	struct swarm_answer answer = {.err = 0};
	struct swarm_ask *next;

	for (struct swarm_ask *ask = swarm->asks; ask; ask = next) {
		bool is_over;

		next = ask->next;
		if (ask->request_out || ask_try(ask, now_ns, &is_over) || !is_over)
			continue;
		/* One in a turn: its caller may cancel others, or leave. */
		blobs_swarm_tend_at(swarm, now_ns);
		answer.err = blobs_swarm_failure(swarm, &answer.detail);
		ask_end(ask, &answer, now_ns);
		return;
	}
}

/* --- what comes back --- */

static void refused(struct swarm_ask *ask, struct swarm_member *member, uint64_t now_ns)
{
	fail_at(ask, member);
	if (ask->type == MESH_GET_MANIFEST)
		return;
	blobs_have_note_lack(&member->have, ask->item, ask->chunk);
	blobs_swarm_contact_again(member, now_ns);
}

static void moment_failed(struct swarm_member *member, const struct mesh_reply *reply,
			  uint64_t now_ns)
{
	char name[SWARM_NAME_CAP];

	member->was_reached = true;
	blobs_swarm_fail(member->swarm, reply->err, "node %s is too busy; resume later",
			 blobs_swarm_member_name(member, name));
	blobs_source_wait(member->source, reply->not_before_ns, now_ns);
}

static void key_wrong(struct swarm_member *member, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;
	char want[ZBASE32_KEY_TEXT_CAP], got[ZBASE32_KEY_TEXT_CAP] = "another key";

	zbase32_write(member->source->key, MESH_KEY_LEN, want);
	if (reply->actual_key) {
		memcpy(swarm->wrong_key, reply->actual_key, MESH_KEY_LEN);
		zbase32_write(reply->actual_key, MESH_KEY_LEN, got);
	}
	blobs_swarm_fail(swarm, WEFT_EWRONGKEY, "wanted node %s, but %s answers there", want, got);
	blobs_swarm_member_lose(member, now_ns);
}

static void ask_failed_without_code(struct swarm_member *member, const struct mesh_reply *reply,
				    uint64_t now_ns)
{
	if (reply->err == WEFT_EWRONGKEY)
		key_wrong(member, reply, now_ns);
	else if (reply->err == WEFT_EMALFORMED || reply->err == WEFT_ETOOLARGE)
		blobs_swarm_member_blame(member, now_ns);
	else if (reply->err == WEFT_EREFUSED || reply->err == WEFT_EBUSY)
		moment_failed(member, reply, now_ns);
	else
		blobs_swarm_way_failed(member, reply, now_ns);
}

/* That it changed where it was says more than that it is not elsewhere. */
static bool is_told_changed(const struct swarm *swarm, const struct swarm_ask *ask)
{
	return swarm->fail_err == WEFT_ECHANGED &&
	       strncmp(swarm->fail_detail, ask->what, ask->what_len) == 0 &&
	       swarm->fail_detail[ask->what_len] == ' ';
}

static void ask_failed(struct swarm_ask *ask, struct swarm_member *member,
		       const struct mesh_reply *reply, uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;
	int len = (int)ask->what_len;
	char name[SWARM_NAME_CAP];

	blobs_swarm_member_name(member, name);
	switch (reply->code) {
	case MESH_CODE_ABSENT:
		if (!is_told_changed(swarm, ask))
			blobs_swarm_fail(swarm, WEFT_EABSENT, "node %s has not got %.*s", name, len,
					 ask->what);
		refused(ask, member, now_ns);
		return;
	case MESH_CODE_CHANGED:
		blobs_swarm_fail(swarm, WEFT_ECHANGED,
				 "%.*s has changed on node %s since it was shared", len, ask->what,
				 name);
		refused(ask, member, now_ns);
		return;
	case MESH_CODE_MALFORMED:
	case MESH_CODE_UNKNOWN:
	case MESH_CODE_TOO_LARGE:
		blobs_swarm_fail(swarm, reply->err, "node %s refuses to send %.*s: %s", name, len,
				 ask->what, weft_err_text(reply->err));
		refused(ask, member, now_ns);
		return;
	case MESH_CODE_BUSY:
	case MESH_CODE_REFUSED:
		moment_failed(member, reply, now_ns);
		return;
	case MESH_CODE_INTERNAL:
	case MESH_CODE_TIMEOUT:
		blobs_swarm_way_failed(member, reply, now_ns);
		return;
	}
	ask_failed_without_code(member, reply, now_ns);
}

static unsigned answer_type(unsigned type)
{
	switch (type) {
	case MESH_GET_MANIFEST:
		return MESH_MANIFEST_DATA;
	case MESH_GET_CHUNK_HASHES:
		return MESH_CHUNK_HASH_LIST;
	case MESH_RANGE_PROOF:
		return MESH_RANGE_PROOF;
	default:
		return MESH_CHUNK_DATA;
	}
}

/* It has not got it by that name; true: it is asked by another. */
static bool ask_other_way(struct swarm_ask *ask, struct swarm_member *member, uint64_t now_ns)
{
	struct blobs_ways ways;

	blobs_swarm_ways(member, now_ns, &ways);
	if (member->is_going || ask->way_cnt + 1 >= ways.cnt)
		return false;
	ask->way_cnt++;
	return ask_send(ask, member, now_ns) == 0;
}

static bool answer_is_right(const struct swarm_ask *ask, const struct mesh_reply *reply,
			    struct message_answer *answer)
{
	return blobs_message_answer_parse(answer_type(ask->type), reply->payload,
					  reply->payload_len, answer) == 0 &&
	       memcmp(answer->id, ask->name, sizeof(answer->id)) == 0 &&
	       answer->first == ask->request.first && (!ask->check || ask->check(ask->arg, answer));
}

static void on_answer(struct swarm_ask *ask, struct swarm_member *member,
		      const struct mesh_reply *reply, uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;
	struct swarm_answer answer = {.from_key = member->source->key};

	member->was_reached = true;
	member->received_len += reply->payload_len;
	if (answer_is_right(ask, reply, &answer.message)) {
		swarm->progress_ns = now_ns;
		ask_end(ask, &answer, now_ns);
		return;
	}
	blobs_swarm_member_blame(member, now_ns);
	answer.err = WEFT_EDAMAGED;
	answer.detail = "bytes that do not match";
	if (ask->from)
		ask_end(ask, &answer, now_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct swarm_ask *ask = arg;
	struct swarm_member *member = ask->member;
	struct swarm *swarm = ask->swarm;
	struct swarm_answer answer = {.err = reply->err, .from_key = member->source->key};

	swarm->swarms->now_ns = now_ns;
	ask->request_out = NULL;
	ask->member = NULL;
	member->asked_cnt--;
	limits_settle(ask, member, reply->err ? 0 : reply->payload_len,
		      reply->err ? reply->received_len : reply->payload_len);
	if (member->is_going || !ask->from)
		blobs_swarm_changed(swarm);
	if (!reply->err) {
		member->way += ask->way_cnt;
		ask->way_cnt = 0;
		blobs_source_answered(member->source, reply->payload_len,
				      blobs_swarm_window_max(swarm), now_ns);
		on_answer(ask, member, reply, now_ns);
		return;
	}
	blobs_source_dropped(member->source);
	if (reply->code == MESH_CODE_ABSENT && ask_other_way(ask, member, now_ns))
		return;
	ask->way_cnt = 0;
	ask->lost_cnt += reply->err != WEFT_EBUSY && reply->err != WEFT_EREFUSED;
	ask_failed(ask, member, reply, now_ns);
	blobs_swarm_changed(swarm);
	answer.detail = swarm->fail_detail;
	if (ask->from)
		ask_end(ask, &answer, now_ns);
}
