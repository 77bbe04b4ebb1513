/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deposits of this node. Each is on the disk until its recipient has it, or its time is over. It is put at
 * its STORE node, again after growing pauses while that does not take it. Once it is kept, the STORE node
 * is asked for its receipt after growing pauses. A deposit that was lost there is put again.
 */
#include "base/monotonic.h"
#include "base/random.h"
#include "deposits_state.h"

#define TIMEOUT_NS    (20 * NS_PER_S)
#define CROWDED_NS    NS_PER_S	     /* all places for PUTs are taken */
#define RETRY_NS      (5 * NS_PER_S) /* at first; each further pause is twice as long */
#define RETRY_MAX_NS  (600 * NS_PER_S)
#define LOOK_NS	      (30 * NS_PER_S) /* the same of one that is kept */
#define LOOK_MAX_NS   (900 * NS_PER_S)
#define DOUBLINGS_MAX 10u

static const struct mesh_ops *ops_of(const struct deposits *deposits)
{
	return deposits->params.mesh.ops;
}

static const char *why_of(const struct mesh_reply *reply)
{
	switch (reply->err) {
	case WEFT_EREFUSED:
		return "the STORE node has no room for it now, or takes no more now";
	case WEFT_EUNKNOWN:
		return "the node keeps no deposits";
	case WEFT_EBUSY:
		return "the STORE node is busy";
	case WEFT_EABSENT:
		return "the STORE node has lost it";
	case WEFT_EMALFORMED:
		return "the STORE node does not understand it";
	case WEFT_EWRONGKEY:
		return "another node is at the STORE node's addresses";
	default:
		return "the STORE node is not reached";
	}
}

/* --- what becomes of it --- */

static struct deposit_progress progress_of(const struct deposit_out *out)
{
	const struct deposit_row *row = out->row;

	return (struct deposit_progress){.id = row->id,
					 .recipient = row->recipient->key,
					 .store = row->peer,
					 .kind = row->part,
					 .state = out->state,
					 .err = out->err,
					 .why = out->why,
					 .expires_s = row->expires_s};
}

static void out_say(struct deposit_out *out, uint64_t now_ns)
{
	const struct deposit_part *part = &out->deposits->parts[out->row->part];
	const struct deposit_progress progress = progress_of(out);

	if (part->moved)
		part->moved(part->ctx, &progress, now_ns);
}

/* The row and out are gone behind this. Its part may make others in moved. */
static void out_end(struct deposit_out *out, enum deposit_state state, uint64_t now_ns)
{
	struct deposits *deposits = out->deposits;
	struct deposit_row row = *out->row;
	struct deposit_recipient recipient = *row.recipient;
	struct deposit_out last = *out;

	deposits->stats.arrived_cnt += state == DEPOSIT_DELIVERED;
	deposits->stats.lost_cnt += state == DEPOSIT_EXPIRED;
	deposits_row_drop(deposits, out->row, true, now_ns);
	row.recipient = &recipient;
	last.row = &row;
	last.state = state;
	out_say(&last, now_ns);
}

/* Returns false when its part took it back in moved: out is gone then. */
WEFT_MUST_CHECK
static bool out_move(struct deposit_out *out, enum deposit_state state, int err, const char *why,
		     uint64_t now_ns)
{
	struct pool *pool = &out->deposits->out_pool;
	uint64_t handle = pool_handle_of(pool, out);
	bool is_same = out->state == state && out->err == err;

	if (out->state != state)
		out->try_cnt = 0;
	out->state = state;
	out->err = err;
	out->why = why;
	if (!is_same)
		out_say(out, now_ns);
	return pool_lookup(pool, handle) == out;
}

/* --- pauses --- */

static void out_pause(struct deposit_out *out, uint64_t first_ns, uint64_t most_ns, uint64_t now_ns)
{
	struct deposits *deposits = out->deposits;
	unsigned doublings = out->try_cnt < DOUBLINGS_MAX ? out->try_cnt : DOUBLINGS_MAX;
	uint64_t pause_ns = first_ns << doublings;

	if (pause_ns > most_ns)
		pause_ns = most_ns;
	/* Between a half and the whole: those that began together do not come together. */
	pause_ns = pause_ns / 2 + random_below(deposits->params.random, pause_ns / 2 + 1);
	out->try_cnt++;
	timer_set(deposits->params.timers, &out->timer, now_ns + pause_ns);
}

static void out_rest(struct deposit_out *out, uint64_t now_ns)
{
	if (out->state == DEPOSIT_KEPT)
		out_pause(out, LOOK_NS, LOOK_MAX_NS, now_ns);
	else
		out_pause(out, RETRY_NS, RETRY_MAX_NS, now_ns);
}

/* --- answers --- */

static void run_end(struct deposit_out *out)
{
	struct deposits *deposits = out->deposits;

	out->request = NULL;
	for (unsigned i = 0; i < DEPOSITS_OUT_AT_ONCE; i++)
		if (deposits->out_runs[i] == out)
			deposits->out_runs[i] = NULL;
}

static bool is_receipt(const struct deposit_row *row, const struct deposit_put_answer *answer)
{
	uint8_t id[DEPOSIT_ID_LEN];

	deposits_id_of(answer->receipt, id);
	return answer->has_receipt && memcmp(id, row->id, sizeof(id)) == 0;
}

/* The STORE node has it, or had it. May end out. */
static void out_answered(struct deposit_out *out, const struct deposit_put_answer *answer,
			 uint64_t now_ns)
{
	if (answer->state == DEPOSIT_STATE_DELIVERED && is_receipt(out->row, answer)) {
		out->err = 0;
		out->why = NULL;
		out_end(out, DEPOSIT_DELIVERED, now_ns);
		return;
	}
	if (answer->state == DEPOSIT_STATE_DELIVERED) {
		if (!out_move(out, DEPOSIT_WAITING, WEFT_EREFUSED,
			      "it was erased unopened, as the STORE node says", now_ns))
			return;
		out->try_cnt = DOUBLINGS_MAX;
	} else {
		out->deposits->stats.sent_cnt += out->state != DEPOSIT_KEPT;
		if (!out_move(out, DEPOSIT_KEPT, 0, NULL, now_ns))
			return;
	}
	out_rest(out, now_ns);
}

/*
 * The STORE node had it. The first time it is put again at once. Where its recipient cannot open it, it
 * is erased each time, so the pauses grow with the losses.
 */
static void out_lost(struct deposit_out *out, const struct mesh_reply *reply, uint64_t now_ns)
{
	unsigned lost_cnt = out->lost_cnt++;

	if (!out_move(out, DEPOSIT_WAITING, reply->err, why_of(reply), now_ns))
		return;
	if (lost_cnt == 0) {
		timer_set(out->deposits->params.timers, &out->timer, now_ns);
		return;
	}
	out->try_cnt = lost_cnt;
	out_rest(out, now_ns);
}

static void out_failed(struct deposit_out *out, const struct mesh_reply *reply, uint64_t now_ns)
{
	out->deposits->stats.unsent_cnt++;
	if (reply->err == WEFT_EABSENT && out->state == DEPOSIT_KEPT) {
		out_lost(out, reply, now_ns);
		return;
	}
	if (out->state == DEPOSIT_WAITING &&
	    !out_move(out, DEPOSIT_WAITING, reply->err, why_of(reply), now_ns))
		return;
	out_rest(out, now_ns);
	if (reply->not_before_ns > out->timer.at_ns)
		timer_set(out->deposits->params.timers, &out->timer, reply->not_before_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct deposit_out *out = arg;
	struct deposit_put_answer answer;
	struct mesh_reply failed = *reply;

	run_end(out);
	if (reply->err == 0 &&
	    deposits_put_answer_parse(reply->payload, reply->payload_len, &answer) < 0)
		failed.err = WEFT_EMALFORMED;
	if (failed.err < 0)
		out_failed(out, &failed, now_ns);
	else
		out_answered(out, &answer, now_ns);
}

/* --- PUT --- */

/* Whether the STORE node of row gets one more PUT now; *out_idx is the place. */
static bool run_begin(struct deposits *deposits, struct deposit_out *out)
{
	unsigned store_cnt = 0, free_idx = DEPOSITS_OUT_AT_ONCE;

	for (unsigned i = 0; i < DEPOSITS_OUT_AT_ONCE; i++) {
		const struct deposit_out *run = deposits->out_runs[i];

		if (!run)
			free_idx = i;
		else
			store_cnt += memcmp(run->row->peer, out->row->peer, DEPOSIT_KEY_LEN) == 0;
	}
	if (free_idx == DEPOSITS_OUT_AT_ONCE || store_cnt >= DEPOSITS_OUT_PER_STORE)
		return false;
	deposits->out_runs[free_idx] = out;
	return true;
}

static int put_write(struct deposit_out *out, struct writer *w)
{
	struct deposits *deposits = out->deposits;
	const struct deposit_row *row = out->row;
	struct store_snapshot *snapshot = NULL;
	struct deposit_put_message message = {.expires_s = row->expires_s};
	struct deposit_record record;
	int err = 0;

	memcpy(message.recipient, row->recipient->key, sizeof(message.recipient));
	memcpy(message.id, row->id, sizeof(message.id));
	if (out->state != DEPOSIT_KEPT) {
		err = deposits_row_read(deposits, &snapshot, row, &record);
		message.sealed = err < 0 ? NULL : record.sealed;
		message.sealed_len = err < 0 ? 0 : record.sealed_len;
	}
	deposits_put_write(w, &message);
	store_snapshot_close(snapshot);
	return err;
}

static int put_send(struct deposit_out *out, uint64_t now_ns)
{
	struct deposits *deposits = out->deposits;
	const struct deposits_params *params = &deposits->params;
	struct writer w = writer_of(deposits->message, sizeof(deposits->message));
	struct peer_places places;
	struct mesh_ask ask = {
		.type = MESH_MAILBOX_PUT,
		.payload = deposits->message,
		.reply_buf = out->reply,
		.reply_cap = sizeof(out->reply),
		.timeout_ns = TIMEOUT_NS,
		.reply = on_reply,
		.arg = out,
	};
	int err = put_write(out, &w);

	ask.payload_len = writer_len(&w);
	ask.peer = deposits_peer(deposits, out->row->part, out->row->peer, &places, now_ns);
	if (err == 0)
		err = params->mesh.ops->ask(params->mesh.mesh, &ask, now_ns, &out->request);
	return err;
}

/* This node is the STORE node: its own room is asked, and nothing is sent. */
static void put_here(struct deposit_out *out, uint64_t now_ns)
{
	struct deposits *deposits = out->deposits;
	struct deposit_row *row = out->row, *kept;
	struct deposit_put_answer answer = {.state = DEPOSIT_STATE_KEPT,
					    .expires_s = row->expires_s};
	struct store_snapshot *snapshot = NULL;
	struct mesh_reply reply = {.err = 0};
	struct deposit_record record;

	kept = deposits_rows_lookup(deposits, row->recipient->key, row->id);
	if (!kept && deposits_write_lags(deposits)) {
		reply.err = WEFT_EBUSY;
	} else if (!kept) {
		reply.err = deposits_row_read(deposits, &snapshot, row, &record);
		record.kind = DEPOSIT_RECORD_KEPT;
		record.is_own = false;
		record.part = 0;
		record.peer = deposits_own_key(deposits);
		if (reply.err == 0 && deposits_row_keep(deposits, &record, now_ns) < 0)
			reply.err = WEFT_EREFUSED;
		store_snapshot_close(snapshot);
	} else if (kept->kind == DEPOSIT_RECORD_DELIVERED) {
		answer.state = DEPOSIT_STATE_DELIVERED;
		answer.has_receipt = kept->has_receipt;
		memcpy(answer.receipt, kept->receipt, sizeof(answer.receipt));
	}
	if (reply.err < 0)
		out_failed(out, &reply, now_ns);
	else
		out_answered(out, &answer, now_ns);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct deposit_out *out = container_of(timer, struct deposit_out, timer);
	struct deposits *deposits = out->deposits;

	deposits->now_ns = now_ns;
	/* A copy that the STORE node kept for less is put again: a look finds it gone. */
	if (out->row->expires_s <= deposits_wall_s(deposits)) {
		out_end(out, DEPOSIT_EXPIRED, now_ns);
	} else if (!deposit_row_is_durable(out->row)) {
		timer_set(deposits->params.timers, timer, now_ns + DEPOSITS_WRITE_WINDOW_NS);
	} else if (deposits_is_own_key(deposits, out->row->peer)) {
		put_here(out, now_ns);
	} else if (!run_begin(deposits, out)) {
		timer_set(deposits->params.timers, timer,
			  now_ns + CROWDED_NS / 2 +
				  random_below(deposits->params.random, CROWDED_NS));
	} else if (put_send(out, now_ns) < 0) {
		run_end(out);
		out_rest(out, now_ns);
	}
}

void deposits_out_look(struct deposits *deposits, const uint8_t *recipient, const uint8_t *id,
		       uint64_t now_ns)
{
	const struct deposit_record as = {
		.recipient = recipient, .id = id, .peer = deposits_own_key(deposits)};
	struct deposit_row *row = deposits_rows_lookup_out(deposits, &as);

	if (row)
		timer_set(deposits->params.timers, &row->out->timer, now_ns);
}

/* Only what waits: one that is kept is looked at when that is due. */
void deposits_out_hurry(struct deposits *deposits, const uint8_t *store, uint64_t now_ns)
{
	struct deposit_out *out = NULL;

	while ((out = pool_next(&deposits->out_pool, out)))
		if (out->state == DEPOSIT_WAITING && !out->request &&
		    memcmp(out->row->peer, store, DEPOSIT_KEY_LEN) == 0)
			timer_set(deposits->params.timers, &out->timer, now_ns);
}

/* --- rows --- */

bool deposits_out_enter(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	struct deposit_out *out = pool_acquire(&deposits->out_pool);

	if (!out)
		return false;
	out->deposits = deposits;
	out->row = row;
	out->state = DEPOSIT_WAITING;
	row->out = out;
	deposits->out_cnts[row->part]++;
	timer_init(&out->timer, on_due);
	timer_set(deposits->params.timers, &out->timer, now_ns);
	return true;
}

void deposits_out_leave(struct deposits *deposits, struct deposit_row *row)
{
	struct deposit_out *out = row->out;

	timer_cancel(deposits->params.timers, &out->timer);
	if (out->request)
		ops_of(deposits)->cancel(out->request);
	run_end(out);
	deposits->out_cnts[row->part]--;
	row->out = NULL;
	pool_release(&deposits->out_pool, out);
}

void deposits_out_expire(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns)
{
	(void)deposits;
	out_end(row->out, DEPOSIT_EXPIRED, now_ns);
}

/* --- calls --- */

static uint64_t out_end_of_life(const struct deposits *deposits, const struct deposit_draft *draft)
{
	uint64_t last_s = deposits_wall_s(deposits) + DEPOSITS_CHOSEN_LIFE_S;

	return draft->expires_s < last_s ? draft->expires_s : last_s;
}

/* Seals draft's deposit into deposits->sealed, and names it. 0 or a negative code. */
static int draft_seal(struct deposits *deposits, const struct deposit_draft *draft,
		      uint8_t out_id[static DEPOSIT_ID_LEN])
{
	struct deposit_plain plain = {.kind = (uint8_t)draft->kind,
				      .expires_s = out_end_of_life(deposits, draft),
				      .content = draft->content,
				      .len = draft->len};
	uint8_t fresh[NODE_BOX_RANDOM_LEN];
	int err;

	if (draft->kind == 0 || draft->kind > DEPOSIT_KIND_MAX)
		return WEFT_EMALFORMED;
	if (draft->len > DEPOSIT_CONTENT_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (draft->expires_s <= deposits_wall_s(deposits))
		return WEFT_ETIMEOUT;
	if (deposits_write_lags(deposits))
		return WEFT_EBUSY;
	if (draft->receipt)
		memcpy(plain.receipt, draft->receipt, sizeof(plain.receipt));
	else
		random_fill(deposits->params.random, plain.receipt, sizeof(plain.receipt));
	random_fill(deposits->params.random, fresh, sizeof(fresh));
	deposits_id_of(plain.receipt, out_id);
	err = deposits_seal(draft->recipient, &plain, fresh, &deposits->sealing, deposits->sealed);
	explicit_bzero(fresh, sizeof(fresh));
	return err;
}

static void draft_wait(struct deposits *deposits, const struct deposit_draft *draft,
		       uint64_t now_ns)
{
	const struct deposit_waiter waiter = {.done = draft->done, .arg = draft->arg};

	deposits_write_wait(deposits, &waiter, now_ns);
}

int deposits_put_at(struct deposits *deposits, const struct deposit_draft *draft, uint64_t now_ns,
		    uint8_t out_id[static DEPOSIT_ID_LEN])
{
	uint8_t id[DEPOSIT_ID_LEN];
	struct deposit_record record = {
		.kind = DEPOSIT_RECORD_OUT,
		.is_own = true,
		.part = (uint8_t)draft->kind,
		.class = FAIR_CHOSEN,
		.expires_s = out_end_of_life(deposits, draft),
		.peer = draft->store,
		.recipient = draft->recipient,
		.id = id,
		.sealed = deposits->sealed,
		.sealed_len = DEPOSIT_SEALED_LEN_MIN + draft->len,
	};
	int err = draft_seal(deposits, draft, id);

	deposits->now_ns = now_ns;
	if (err < 0)
		return err;
	if (!deposits_rows_lookup_out(deposits, &record)) {
		if (deposits->out_cnts[draft->kind] >= DEPOSITS_OUT_MAX - deposits->stats.out_cnt ||
		    deposits_row_keep(deposits, &record, now_ns) < 0)
			return WEFT_EFULL;
	}
	draft_wait(deposits, draft, now_ns);
	memcpy(out_id, id, sizeof(id));
	return 0;
}

int deposits_keep(struct deposits *deposits, const struct deposit_draft *draft,
		  const uint8_t depositor[static MESH_KEY_LEN], uint64_t now_ns)
{
	uint8_t id[DEPOSIT_ID_LEN];
	struct deposit_record record = {
		.kind = DEPOSIT_RECORD_KEPT,
		.expires_s = draft->expires_s,
		.peer = depositor,
		.recipient = draft->recipient,
		.id = id,
		.sealed = deposits->sealed,
		.sealed_len = DEPOSIT_SEALED_LEN_MIN + draft->len,
	};
	int err;

	deposits->now_ns = now_ns;
	if (!deposits->params.config.is_store)
		return WEFT_EREFUSED;
	err = draft_seal(deposits, draft, id);
	if (err < 0)
		return err;
	if (!deposits_rows_lookup(deposits, draft->recipient, id)) {
		deposits_place(deposits, depositor, &record);
		if (deposits_row_keep(deposits, &record, now_ns) < 0) {
			deposits->stats.refused_cnt++;
			return WEFT_EFULL;
		}
		deposits->stats.kept_cnt++;
	}
	draft_wait(deposits, draft, now_ns);
	return 0;
}

unsigned deposits_withdraw(struct deposits *deposits, const uint8_t id[static DEPOSIT_ID_LEN],
			   uint64_t now_ns)
{
	struct deposit_out *out = NULL;
	uint8_t wanted[DEPOSIT_ID_LEN];
	unsigned cnt = 0;

	memcpy(wanted, id, sizeof(wanted));
	while ((out = pool_next(&deposits->out_pool, out))) {
		if (memcmp(out->row->id, wanted, sizeof(wanted)) != 0)
			continue;
		deposits_row_drop(deposits, out->row, true, now_ns);
		cnt++;
	}
	return cnt;
}

void deposits_each_out(const struct deposits *deposits,
		       void (*fn)(void *arg, const struct deposit_progress *progress,
				  unsigned try_cnt),
		       void *arg)
{
	const struct deposit_out *out = NULL;

	while ((out = pool_next(&deposits->out_pool, out))) {
		const struct deposit_progress progress = progress_of(out);

		fn(arg, &progress, out->try_cnt);
	}
}

/* --- life --- */

int deposits_out_init(struct deposits *deposits)
{
	return pool_init(&deposits->out_pool, &deposits->arena, sizeof(struct deposit_out),
			 DEPOSITS_OUT_MAX);
}

void deposits_out_stop(struct deposits *deposits)
{
	struct deposit_out *out = NULL;

	while ((out = pool_next(&deposits->out_pool, out))) {
		timer_cancel(deposits->params.timers, &out->timer);
		if (out->request)
			ops_of(deposits)->cancel(out->request);
		out->request = NULL;
	}
}

bool deposits_find_out(const struct deposits *deposits, const struct deposit_draft *draft,
		       struct deposit_progress *out_progress)
{
	uint8_t id[DEPOSIT_ID_LEN];
	const struct deposit_record as = {
		.recipient = draft->recipient, .id = id, .peer = draft->store};
	const struct deposit_row *row;

	deposits_id_of(draft->receipt, id);
	row = deposits_rows_lookup_out(deposits, &as);
	if (row)
		*out_progress = progress_of(row->out);
	return row != NULL;
}

unsigned deposits_out_cnt(const struct deposits *deposits, enum deposit_kind kind)
{
	return deposits->out_cnts[kind];
}
