/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages 622 to 624 at the STORE node. A PUT is answered when the deposit is durable, and an ACK when
 * that cannot come back. A refusal says why.
 */
#include "deposits_state.h"

#define LAG_MS 1000u

static const struct mesh_ops *ops_of(const struct deposits *deposits)
{
	return deposits->params.mesh.ops;
}

static void refuse(struct deposits *deposits, const struct mesh_call *call, enum mesh_code code,
		   const char *why)
{
	ops_of(deposits)->answer_error(call->incoming, code, why, 0);
}

static bool is_admitted(struct deposits *deposits, const struct mesh_call *call, uint64_t now_ns)
{
	const struct deposits_params *params = &deposits->params;

	return !params->admit || params->admit(params->ctx, call, now_ns);
}

static void refuse_malformed(struct deposits *deposits, const struct mesh_call *call,
			     const char *why)
{
	deposits->stats.malformed_cnt++;
	refuse(deposits, call, MESH_CODE_MALFORMED, why);
}

/* --- requests that wait --- */

static void asked_gone(void *arg)
{
	((struct deposit_asked *)arg)->incoming = NULL;
}

/* NULL: the call was answered, as the disk does not keep up. */
static struct deposit_asked *asked_begin(struct deposits *deposits, const struct mesh_call *call)
{
	struct deposit_asked *asked =
		deposits_write_lags(deposits) ? NULL : pool_acquire(&deposits->asked);

	if (asked) {
		asked->deposits = deposits;
		asked->incoming = call->incoming;
		return asked;
	}
	deposits->stats.lag_cnt++;
	ops_of(deposits)->answer_error(call->incoming, MESH_CODE_BUSY, "the disk does not keep up",
				       LAG_MS);
	return NULL;
}

static void put_answer(struct deposits *deposits, struct mesh_incoming *incoming,
		       const struct deposit_row *row)
{
	struct deposit_put_answer answer = {.state = DEPOSIT_STATE_KEPT,
					    .expires_s = row->expires_s};
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (row->kind == DEPOSIT_RECORD_DELIVERED) {
		answer.state = DEPOSIT_STATE_DELIVERED;
		answer.has_receipt = row->has_receipt;
		memcpy(answer.receipt, row->receipt, sizeof(answer.receipt));
	}
	deposits_put_answer_write(&w, &answer);
	(void)ops_of(deposits)->answer(incoming, MESH_MAILBOX_PUT, bytes, writer_len(&w), NULL);
}

static void asked_done(void *arg, int err);

static void ack_answer(struct deposits *deposits, struct mesh_incoming *incoming, uint64_t cnt)
{
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_ack_answer_write(&w, cnt);
	(void)ops_of(deposits)->answer(incoming, MESH_MAILBOX_ACK, bytes, writer_len(&w), NULL);
}

/* A row may have been written once more meanwhile. false: it is not durable yet, and waited for. */
static bool row_settles(struct deposit_asked *asked, const struct deposit_row *row)
{
	const struct deposit_waiter waiter = {.done = asked_done, .arg = asked};
	struct deposits *deposits = asked->deposits;

	if (deposit_row_is_durable(row))
		return true;
	deposits_write_wait(deposits, &waiter, deposits->now_ns);
	return false;
}

static void asked_done(void *arg, int err)
{
	struct deposit_asked asked = *(struct deposit_asked *)arg;
	struct deposits *deposits = asked.deposits;
	const struct deposit_row *row = NULL;

	if (err == 0 && asked.is_put && asked.incoming)
		row = deposits_rows_lookup(deposits, asked.recipient, asked.id);
	if (row && !row_settles(arg, row))
		return;
	pool_release(&deposits->asked, arg);
	if (!asked.incoming)
		return;
	if (row)
		put_answer(deposits, asked.incoming, row);
	else if (err == 0 && !asked.is_put)
		ack_answer(deposits, asked.incoming, asked.cnt);
	else
		ops_of(deposits)->answer_error(asked.incoming, MESH_CODE_BUSY,
					       "the disk did not take it", LAG_MS);
}

static void asked_wait(struct deposit_asked *asked, uint64_t now_ns)
{
	const struct deposit_waiter waiter = {.done = asked_done, .arg = asked};

	ops_of(asked->deposits)->abandoned(asked->incoming, asked_gone, asked);
	deposits_write_wait(asked->deposits, &waiter, now_ns);
}

/* --- PUT --- */

void deposits_place(struct deposits *deposits, const uint8_t *depositor,
		    struct deposit_record *record)
{
	const struct deposits_params *params = &deposits->params;
	struct mesh_path path = {.remote.family = ADDR_NONE};
	uint64_t life_s = DEPOSITS_LIFE_S;

	record->class = params->class_of(params->ctx, depositor);
	if (record->class == FAIR_CHOSEN ||
	    params->class_of(params->ctx, record->recipient) == FAIR_CHOSEN)
		life_s = DEPOSITS_CHOSEN_LIFE_S;
	if (record->expires_s > deposits_wall_s(deposits) + life_s)
		record->expires_s = deposits_wall_s(deposits) + life_s;
	(void)params->neighbours->path(params->mesh.mesh, depositor, &path);
	record->source = path.remote;
	/* No network is known: all such depositors are one. */
	if (record->source.family == ADDR_NONE)
		record->source.family = ADDR_IPV6;
}

/* A deposit that is not here. */
static void put_new(struct deposits *deposits, const struct mesh_call *call,
		    const struct deposit_put_message *message, struct deposit_asked *asked,
		    uint64_t now_ns)
{
	struct deposit_record record = {
		.kind = DEPOSIT_RECORD_KEPT,
		.expires_s = message->expires_s,
		.peer = call->peer_key,
		.recipient = message->recipient,
		.id = message->id,
		.sealed = message->sealed,
		.sealed_len = message->sealed_len,
	};

	deposits_place(deposits, call->peer_key, &record);
	if (deposits_row_keep(deposits, &record, now_ns) == 0) {
		deposits->stats.kept_cnt++;
		asked_wait(asked, now_ns);
		return;
	}
	pool_release(&deposits->asked, asked);
	deposits->stats.refused_cnt++;
	ops_of(deposits)->note_refused(call->incoming, "deposits", LAG_MS);
	refuse(deposits, call, MESH_CODE_REFUSED,
	       "no room is left for its depositor, network or recipient");
}

static void on_put(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct deposits *deposits = ctx;
	struct deposit_put_message message;
	const struct deposit_row *row;
	struct deposit_asked *asked;

	deposits->stats.put_cnt++;
	if (!is_admitted(deposits, call, now_ns))
		return;
	if (deposits_put_parse(call->payload, call->payload_len, &message) < 0 ||
	    !node_key_is_sound(message.recipient)) {
		refuse_malformed(deposits, call, "no deposit");
		return;
	}
	row = deposits_rows_lookup(deposits, message.recipient, message.id);
	deposits->stats.known_cnt += row || !message.sealed;
	if (row && deposit_row_is_durable(row)) {
		put_answer(deposits, call->incoming, row);
	} else if (!row && !message.sealed) {
		refuse(deposits, call, MESH_CODE_ABSENT, "no such deposit");
	} else if (!row && message.expires_s <= deposits_wall_s(deposits)) {
		refuse(deposits, call, MESH_CODE_REFUSED, "its time is over");
	} else if ((asked = asked_begin(deposits, call))) {
		asked->is_put = true;
		memcpy(asked->recipient, message.recipient, sizeof(asked->recipient));
		memcpy(asked->id, message.id, sizeof(asked->id));
		if (row)
			asked_wait(asked, now_ns);
		else
			put_new(deposits, call, &message, asked, now_ns);
	}
}

/* --- PULL --- */

/* The key that a mailpull names, or the session's. false: the call was answered. */
static bool key_of(struct deposits *deposits, const struct mesh_call *call, const uint8_t *mailpull,
		   size_t mailpull_len, uint8_t out_key[static DEPOSIT_KEY_LEN])
{
	uint8_t session[MAILPULL_SESSION_LEN];

	if (!mailpull) {
		memcpy(out_key, call->peer_key, DEPOSIT_KEY_LEN);
		return true;
	}
	ops_of(deposits)->asker_session(call->incoming, session);
	if (deposits_mailpull_verify(mailpull, mailpull_len, session, out_key) == 0)
		return true;
	deposits->stats.foreign_cnt++;
	refuse(deposits, call, MESH_CODE_REFUSED, "the key has not signed for this session");
	return false;
}

static void page_sent(void *arg)
{
	struct deposit_answer *answer = arg;

	pool_release(&answer->deposits->answers, answer);
}

/* An asker that takes no answers holds so many, and the mesh gives up those that are not taken. */
#define ANSWERS_PER_ASKER 2u

static struct deposit_answer *answer_acquire(struct deposits *deposits,
					     const struct mesh_call *call)
{
	struct deposit_answer *answer = NULL;
	unsigned held_cnt = 0;

	while ((answer = pool_next(&deposits->answers, answer)))
		held_cnt += memcmp(answer->asker, call->peer_key, DEPOSIT_KEY_LEN) == 0;
	if (deposits->answers.used_cnt >= deposits->answers.cap_cnt / 2 && ops_of(deposits)->hurry)
		ops_of(deposits)->hurry(deposits->params.mesh.mesh);
	answer = held_cnt < ANSWERS_PER_ASKER ? pool_acquire(&deposits->answers) : NULL;
	if (!answer)
		return NULL;
	answer->deposits = deposits;
	memcpy(answer->asker, call->peer_key, DEPOSIT_KEY_LEN);
	return answer;
}

/* Most pulls find nothing, and hold nothing. */
static void empty_send(struct deposits *deposits, const struct mesh_call *call)
{
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_page_write(&w, &deposits->page);
	(void)ops_of(deposits)->answer(call->incoming, MESH_MAILBOX_PULL, bytes, writer_len(&w),
				       NULL);
}

static void on_pull(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct deposits *deposits = ctx;
	struct store_snapshot *snapshot = NULL;
	struct deposit_pull_message message;
	struct deposit_answer *answer;
	struct transport_span span;
	uint8_t key[DEPOSIT_KEY_LEN];
	struct writer w;

	if (!is_admitted(deposits, call, now_ns))
		return;
	if (deposits_pull_parse(call->payload, call->payload_len, &message) < 0) {
		refuse_malformed(deposits, call, "no question for deposits");
		return;
	}
	if (!key_of(deposits, call, message.mailpull, message.mailpull_len, key))
		return;
	deposits_page_fill(deposits, key, message.after, &snapshot, &deposits->page);
	if (deposits->page.row_cnt == 0) {
		store_snapshot_close(snapshot);
		empty_send(deposits, call);
		return;
	}
	answer = answer_acquire(deposits, call);
	if (!answer) {
		store_snapshot_close(snapshot);
		ops_of(deposits)->answer_error(call->incoming, MESH_CODE_BUSY,
					       "too many answers are on their way", LAG_MS);
		return;
	}
	w = writer_of(answer->bytes, sizeof(answer->bytes));
	deposits_page_write(&w, &deposits->page);
	store_snapshot_close(snapshot);
	deposits->stats.pulled_cnt += deposits->page.row_cnt > 0;
	span = (struct transport_span){
		.data = answer->bytes, .len = writer_len(&w), .done = page_sent, .arg = answer};
	if (ops_of(deposits)->answer(call->incoming, MESH_MAILBOX_PULL, NULL, 0, &span) < 0)
		page_sent(answer);
}

/* --- ACK --- */

static uint64_t ack_run(struct deposits *deposits, const struct deposit_ack_message *message,
			uint64_t now_ns)
{
	uint64_t cnt = 0;

	for (unsigned i = 0; i < message->receipt_cnt + message->id_cnt; i++) {
		const uint8_t *receipt = i < message->receipt_cnt ? message->receipts[i] : NULL;
		uint8_t id[DEPOSIT_ID_LEN];
		struct deposit_row *row;

		if (receipt)
			deposits_id_of(receipt, id);
		else
			memcpy(id, message->ids[i - message->receipt_cnt], sizeof(id));
		row = deposits_rows_lookup(deposits, message->recipient, id);
		if (!row || row->kind != DEPOSIT_RECORD_KEPT)
			continue;
		/*
		 * A name proves nothing of what was kept under it, which another than the depositor
		 * may have put there. So it leaves no mark, and the right one may come yet.
		 */
		if (receipt)
			deposits_row_deliver(deposits, row, receipt, now_ns);
		else
			deposits_row_drop(deposits, row, true, now_ns);
		cnt++;
	}
	deposits->stats.acked_cnt += cnt;
	return cnt;
}

static void on_ack(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct deposits *deposits = ctx;
	struct deposit_ack_message message;
	uint8_t key[DEPOSIT_KEY_LEN];
	struct deposit_asked *asked;

	if (!is_admitted(deposits, call, now_ns))
		return;
	if (deposits_ack_parse(call->payload, call->payload_len, &message) < 0) {
		refuse_malformed(deposits, call, "no acknowledgement");
		return;
	}
	if (!key_of(deposits, call, message.mailpull, message.mailpull_len, key))
		return;
	/* A receipt proves itself; a name is known to the depositor, too. */
	if (message.id_cnt && memcmp(key, message.recipient, sizeof(key)) != 0) {
		deposits->stats.foreign_cnt++;
		refuse(deposits, call, MESH_CODE_REFUSED, "only its recipient erases a deposit");
		return;
	}
	asked = asked_begin(deposits, call);
	if (!asked)
		return;
	asked->cnt = ack_run(deposits, &message, now_ns);
	asked_wait(asked, now_ns);
}

/* --- life --- */

int deposits_answer_init(struct deposits *deposits)
{
	const struct mesh_seam *mesh = &deposits->params.mesh;
	int err;

	if (!deposits->params.config.is_store)
		return 0;
	if ((err = mesh->ops->handle(mesh->mesh, MESH_MAILBOX_PUT, on_put, deposits)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_MAILBOX_PULL, on_pull, deposits)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_MAILBOX_ACK, on_ack, deposits)) < 0)
		return err;
	deposits->params.neighbours->announce(mesh->mesh, MESH_CAP_STORE, true);
	return 0;
}

void deposits_answer_stop(struct deposits *deposits)
{
	struct deposit_asked *asked;

	while ((asked = pool_next(&deposits->asked, NULL))) {
		if (asked->incoming)
			ops_of(deposits)->answer_error(asked->incoming, MESH_CODE_BUSY,
						       "this node ends", 0);
		pool_release(&deposits->asked, asked);
	}
}
