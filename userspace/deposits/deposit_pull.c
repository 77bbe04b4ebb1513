/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks STORE nodes for the deposits of this node when a session comes up, and each minute. Those of
 * another key are asked for when a part wants them. A pull goes page by page. Another key signs for the session, so
 * without a session the first request is one for this node's own deposits. What cannot be opened is
 * erased by its name.
 */
#include "base/monotonic.h"
#include "base/random.h"
#include "deposits_state.h"

static const struct mesh_ops *ops_of(const struct deposits *deposits)
{
	return deposits->params.mesh.ops;
}

static const struct node_key *key_of(const struct deposit_pull *pull)
{
	return pull->key && !pull->is_greeting ? pull->key : pull->deposits->params.key;
}

static void queue_run(struct deposits *deposits, uint64_t now_ns);

static void pull_free(struct deposit_pull *pull)
{
	struct deposits *deposits = pull->deposits;

	if (pull->request)
		ops_of(deposits)->cancel(pull->request);
	list_unlink(&pull->link);
	node_key_free(pull->key);
	pool_release(&deposits->pulls, pull);
}

static void pull_finish(struct deposit_pull *pull, int err, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	void (*done)(void *arg, int err, unsigned cnt, uint64_t now_ns) = pull->done;
	void *arg = pull->arg;
	unsigned cnt = pull->cnt;

	if (!deposits_is_own_key(deposits, pull->store))
		deposits_patience_note(pull, err == 0, now_ns);
	pull_free(pull);
	if (done)
		done(arg, err, cnt, now_ns);
	queue_run(deposits, now_ns);
}

/* --- requests --- */

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns);

/* What key signs for the session; false: there is none. */
static bool mailpull_write(const struct deposit_pull *pull, struct writer *w)
{
	const struct mesh_seam *mesh = &pull->deposits->params.mesh;
	uint8_t session[MAILPULL_SESSION_LEN];

	if (mesh->ops->session(mesh->mesh, pull->store, session) < 0)
		return false;
	deposits_mailpull_write(w, pull->key, session);
	return true;
}

static int pull_send(struct deposit_pull *pull, unsigned type, size_t len, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	struct mesh_ask ask = {
		.type = type,
		.payload = deposits->message,
		.payload_len = len,
		.reply_buf = pull->reply,
		.reply_cap = sizeof(pull->reply),
		.timeout_ns = DEPOSITS_PULL_TIMEOUT_NS,
		.reply = on_reply,
		.arg = pull,
	};
	struct peer_places places;
	int err;

	ask.peer = deposits_peer(deposits, 0, pull->store, &places, now_ns);
	err = ops_of(deposits)->ask(deposits->params.mesh.mesh, &ask, now_ns, &pull->request);
	if (err < 0)
		pull->request = NULL;
	return err;
}

/* Asks for the page behind pull->after. */
static int pull_ask(struct deposit_pull *pull, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	struct writer w = writer_of(deposits->message, sizeof(deposits->message));
	uint8_t mailpull[MAILPULL_LEN_MAX];
	struct writer m = writer_of(mailpull, sizeof(mailpull));
	struct deposit_pull_message message = {.after = pull->after};

	pull->is_greeting = pull->key && !mailpull_write(pull, &m);
	if (pull->key && !pull->is_greeting) {
		message.mailpull = mailpull;
		message.mailpull_len = writer_len(&m);
	}
	deposits_pull_write(&w, &message);
	deposits->stats.asked_cnt++;
	return pull_send(pull, MESH_MAILBOX_PULL, writer_len(&w), now_ns);
}

/* Erases what key cannot open. A session that has ended meanwhile leaves it there for the next pull. */
static int pull_erase(struct deposit_pull *pull, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	struct writer w = writer_of(deposits->message, sizeof(deposits->message));
	uint8_t mailpull[MAILPULL_LEN_MAX];
	struct writer m = writer_of(mailpull, sizeof(mailpull));
	struct deposit_ack_message message = {.id_cnt = pull->junk_cnt};
	int err;

	memcpy(message.recipient, node_key_public(key_of(pull)), sizeof(message.recipient));
	memcpy(message.ids, pull->junk, sizeof(pull->junk));
	if (pull->key && !pull->is_greeting) {
		if (!mailpull_write(pull, &m))
			return WEFT_ECLOSED;
		message.mailpull = mailpull;
		message.mailpull_len = writer_len(&m);
	}
	deposits_ack_write(&w, &message);
	err = pull_send(pull, MESH_MAILBOX_ACK, writer_len(&w), now_ns);
	pull->is_erasing = err == 0;
	return err;
}

/* --- pages --- */

/* Goes on behind the page that was read, or ends. */
static void pull_go_on(struct deposit_pull *pull, uint64_t now_ns)
{
	bool was_greeting = pull->is_greeting;
	int err;

	if (pull->is_over) {
		pull_finish(pull, WEFT_EBUSY, now_ns);
		return;
	}
	if (was_greeting && pull->page_cnt++ == 0) {
		pull->after = 0;
	} else if (was_greeting) {
		pull_finish(pull, WEFT_ECLOSED, now_ns);
		return;
	} else if (pull->next <= pull->after || ++pull->page_cnt >= DEPOSITS_PULL_PAGES_MAX) {
		pull_finish(pull, 0, now_ns);
		return;
	} else {
		pull->after = pull->next;
	}
	err = pull_ask(pull, now_ns);
	if (err < 0)
		pull_finish(pull, err, now_ns);
}

static void page_hear(struct deposit_pull *pull, const struct deposit_page *page, uint64_t now_ns)
{
	const struct deposit_hearing hearing = {
		.store = pull->store,
		.key = key_of(pull),
		.now_ns = now_ns,
		.now_s = deposits_wall_s(pull->deposits),
	};
	/* What is kept here has bounds of its own. */
	bool is_here = deposits_is_own_key(pull->deposits, pull->store);

	pull->junk_cnt = 0;
	pull->next = page->next;
	for (unsigned i = 0; i < page->row_cnt && !pull->is_over; i++) {
		bool is_junk, is_taken = deposits_hear(pull->deposits, &hearing, &page->rows[i],
						       &is_junk);

		pull->cnt += is_taken;
		if (is_junk)
			memcpy(pull->junk[pull->junk_cnt++], page->rows[i].id, DEPOSIT_ID_LEN);
		pull->is_over = !is_taken && !is_here && !deposits_patience_spend(pull, now_ns);
	}
}

static void on_page(struct deposit_pull *pull, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct deposit_page *page = &pull->deposits->page;

	if (deposits_page_parse(reply->payload, reply->payload_len, page) < 0) {
		pull_finish(pull, WEFT_EMALFORMED, now_ns);
		return;
	}
	page_hear(pull, page, now_ns);
	if (pull->junk_cnt == 0 || pull_erase(pull, now_ns) < 0)
		pull_go_on(pull, now_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct deposit_pull *pull = arg;
	bool was_erasing = pull->is_erasing;

	pull->request = NULL;
	pull->is_erasing = false;
	if (was_erasing) {
		pull_go_on(pull, now_ns);
	} else if (reply->err == 0) {
		on_page(pull, reply, now_ns);
	} else if (reply->err == WEFT_EREFUSED && pull->key && !pull->was_refused) {
		/* A new session has taken the place of the one that key had signed for. */
		pull->was_refused = true;
		if (pull_ask(pull, now_ns) < 0)
			pull_finish(pull, WEFT_EREFUSED, now_ns);
	} else {
		pull_finish(pull, reply->err, now_ns);
	}
}

/* --- this node as the STORE node --- */

/* One page in a turn. */
static void pull_here(struct deposit_pull *pull, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	const uint8_t *recipient = node_key_public(key_of(pull));
	struct store_snapshot *snapshot = NULL;

	deposits_page_fill(deposits, recipient, pull->after, &snapshot, &deposits->page);
	page_hear(pull, &deposits->page, now_ns);
	store_snapshot_close(snapshot);
	for (unsigned i = 0; i < pull->junk_cnt; i++) {
		struct deposit_row *row = deposits_rows_lookup(deposits, recipient, pull->junk[i]);

		if (row && row->kind == DEPOSIT_RECORD_KEPT)
			deposits_row_drop(deposits, row, true, now_ns);
	}
	if (pull->next > pull->after && ++pull->page_cnt < DEPOSITS_PULL_PAGES_MAX) {
		pull->after = pull->next;
		list_push_back(&deposits->pulls_due, &pull->link);
	} else {
		pull_finish(pull, 0, now_ns);
	}
}

static void here_run(struct deposits *deposits, uint64_t now_ns)
{
	struct list_node due;
	struct deposit_pull *pull;

	if (deposits->is_own_due) {
		const struct deposit_pull_ask own = {.store = deposits_own_key(deposits)};

		deposits->is_own_due = deposits_pull_from(deposits, &own, now_ns) < 0;
	}
	list_init(&due);
	while ((pull = list_first(&deposits->pulls_due, struct deposit_pull, link))) {
		list_unlink(&pull->link);
		list_push_back(&due, &pull->link);
	}
	while ((pull = list_first(&due, struct deposit_pull, link))) {
		list_unlink(&pull->link);
		pull_here(pull, now_ns);
	}
}

void deposits_pull_own(struct deposits *deposits, uint64_t now_ns)
{
	deposits->is_own_due = true;
	timer_set(deposits->params.timers, &deposits->pull_timer, now_ns);
}

/* --- calls --- */

int deposits_pull_from(struct deposits *deposits, const struct deposit_pull_ask *ask,
		       uint64_t now_ns)
{
	struct deposit_pull *pull;
	int err = 0;

	if (deposits_patience_rests(deposits, ask->store, now_ns))
		return WEFT_EBUSY;
	pull = pool_acquire(&deposits->pulls);
	if (!pull)
		return WEFT_EFULL;
	pull->deposits = deposits;
	list_init(&pull->link);
	pull->done = ask->done;
	pull->arg = ask->arg;
	memcpy(pull->store, ask->store, sizeof(pull->store));
	if (ask->key)
		err = node_key_from_seed(node_key_seed(ask->key), &pull->key);
	if (err == 0 && deposits_is_own_key(deposits, ask->store)) {
		list_push_back(&deposits->pulls_due, &pull->link);
		timer_set(deposits->params.timers, &deposits->pull_timer, now_ns);
	} else if (err == 0) {
		err = pull_ask(pull, now_ns);
	}
	if (err < 0)
		pull_free(pull);
	return err;
}

/* --- neighbours --- */

static void queue_add(struct deposits *deposits, const uint8_t *key)
{
	uint32_t end = deposits->pull_queue_at + deposits->pull_queue_cnt;

	if (deposits->pull_queue_cnt == DEPOSITS_PULL_QUEUE_CAP)
		return;
	memcpy(deposits->pull_queue[end % DEPOSITS_PULL_QUEUE_CAP], key, DEPOSIT_KEY_LEN);
	deposits->pull_queue_cnt++;
}

/* Parts keep the rest of the pulls. */
static void queue_run(struct deposits *deposits, uint64_t now_ns)
{
	while (!deposits->is_stopped && deposits->pull_queue_cnt > 0 &&
	       deposits->pulls.used_cnt < DEPOSITS_PULL_OWN_MAX) {
		const struct deposit_pull_ask ask = {
			.store = deposits->pull_queue[deposits->pull_queue_at]};

		deposits->pull_queue_at = (deposits->pull_queue_at + 1) % DEPOSITS_PULL_QUEUE_CAP;
		deposits->pull_queue_cnt--;
		/* One that cannot be asked now is asked in a minute. */
		if (deposits_pull_from(deposits, &ask, now_ns) == WEFT_EFULL)
			return;
	}
}

void deposits_pull_look(struct deposits *deposits, const uint8_t *key, uint64_t now_ns)
{
	const struct deposits_params *params = &deposits->params;
	struct mesh_neighbour neighbour;

	if (!params->neighbours->find(params->mesh.mesh, key, &neighbour) ||
	    !neighbour.is_connected || !(neighbour.caps & MESH_CAP_STORE))
		return;
	queue_add(deposits, key);
	queue_run(deposits, now_ns);
}

/* All STORE nodes in session, once a minute; a round that is not over yet is not begun anew. */
static void round_run(struct deposits *deposits, uint64_t now_ns)
{
	const struct deposits_params *params = &deposits->params;
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;

	if (now_ns < deposits->pull_round_ns)
		return;
	deposits->pull_round_ns = now_ns + DEPOSITS_PULL_EVERY_NS;
	deposits->is_own_due = true; /* what its part could not take before */
	if (deposits->pull_queue_cnt > 0)
		return;
	while (params->neighbours->next(params->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected)
		if (neighbour.caps & MESH_CAP_STORE)
			queue_add(deposits, neighbour.key);
	queue_run(deposits, now_ns);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct deposits *deposits = container_of(timer, struct deposits, pull_timer);

	deposits->now_ns = now_ns;
	here_run(deposits, now_ns);
	round_run(deposits, now_ns);
	if (!list_is_empty(&deposits->pulls_due))
		timer_set(deposits->params.timers, timer, now_ns);
	else if (!timer_is_set(timer))
		timer_set(deposits->params.timers, timer,
			  deposits->is_own_due ? now_ns + NS_PER_S : deposits->pull_round_ns);
}

int deposits_choose(struct deposits *deposits, uint8_t out_key[static MESH_KEY_LEN])
{
	const struct deposits_params *params = &deposits->params;
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;
	unsigned cnt = 0;
	int best = -1;

	while (params->neighbours->next(params->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected) {
		int class;

		if (!(neighbour.caps & MESH_CAP_STORE))
			continue;
		class = (int)params->class_of(params->ctx, neighbour.key);
		if (class > best) {
			best = class;
			cnt = 0;
		}
		if (class == best && random_below(params->random, ++cnt) == 0)
			memcpy(out_key, neighbour.key, MESH_KEY_LEN);
	}
	return best < 0 ? WEFT_EABSENT : 0;
}

/* --- life --- */

int deposits_pull_init(struct deposits *deposits)
{
	list_init(&deposits->pulls_due);
	timer_init(&deposits->pull_timer, on_due);
	deposits->pull_round_ns = deposits->params.now_ns + DEPOSITS_PULL_EVERY_NS;
	return pool_init(&deposits->pulls, &deposits->arena, sizeof(struct deposit_pull),
			 DEPOSITS_PULL_CAP);
}

void deposits_pull_stop(struct deposits *deposits)
{
	struct deposit_pull *pull;

	timer_cancel(deposits->params.timers, &deposits->pull_timer);
	while ((pull = pool_next(&deposits->pulls, NULL)))
		pull_free(pull);
}
