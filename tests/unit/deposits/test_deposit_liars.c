/* SPDX-License-Identifier: Apache-2.0 */
/* STORE nodes that lie, recipients that erase, and parts that take a deposit back at any moment. */
#include "deposit_rig.h"
#include "deposits/deposit_seal.h"
#include "deposits/deposits_state.h"

/* D leaves deposits at S for R. L says that it is a STORE node, and gives what the test wants. */
static struct rig_node *d, *s, *r, *l;

static struct {
	struct deposit_row_message rows[DEPOSIT_PAGE_MAX];
	uint16_t row_cnt;
	bool is_endless; /* each page has a next */
	unsigned pull_cnt, erased_cnt;
} liar;

static void liar_pull(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t bytes[MESH_ASK_LEN_MAX];
	static struct deposit_page page;
	const struct mesh_seam seam = mesh_lab_seam_of(ctx);
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct deposit_pull_message message;

	(void)now_ns;
	if (deposits_pull_parse(call->payload, call->payload_len, &message) < 0)
		abort();
	liar.pull_cnt++;
	memcpy(page.rows, liar.rows, sizeof(page.rows));
	page.row_cnt = liar.row_cnt;
	page.next = liar.is_endless ? message.after + 1 : 0;
	deposits_page_write(&w, &page);
	(void)seam.ops->answer(call->incoming, MESH_MAILBOX_PULL, bytes, writer_len(&w), NULL);
}

/* It says that it was delivered, without its receipt or with another. */
static void liar_put(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	const struct mesh_seam seam = mesh_lab_seam_of(ctx);
	struct deposit_put_answer answer = {.state = DEPOSIT_STATE_DELIVERED,
					    .has_receipt = liar.pull_cnt++ % 2,
					    .receipt = {9}};
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	deposits_put_answer_write(&w, &answer);
	(void)seam.ops->answer(call->incoming, MESH_MAILBOX_PUT, bytes, writer_len(&w), NULL);
}

static void liar_ack(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	const struct mesh_seam seam = mesh_lab_seam_of(ctx);
	struct deposit_ack_message message;
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	if (deposits_ack_parse(call->payload, call->payload_len, &message) < 0)
		abort();
	liar.erased_cnt += message.id_cnt;
	deposits_ack_answer_write(&w, message.id_cnt);
	(void)seam.ops->answer(call->incoming, MESH_MAILBOX_ACK, bytes, writer_len(&w), NULL);
}

static void liar_up(void)
{
	const struct mesh_seam seam = mesh_lab_seam_of(l->mesh);

	if (seam.ops->handle(l->mesh, MESH_MAILBOX_PULL, liar_pull, l->mesh) < 0 ||
	    seam.ops->handle(l->mesh, MESH_MAILBOX_PUT, liar_put, l->mesh) < 0 ||
	    seam.ops->handle(l->mesh, MESH_MAILBOX_ACK, liar_ack, l->mesh) < 0)
		abort();
	mesh_lab_neighbours.announce(l->mesh, MESH_CAP_STORE, true);
}

static void begin(void)
{
	rig_begin(&rig_calm);
	memset(&liar, 0, sizeof(liar));
	d = rig_add(false);
	s = rig_add(true);
	r = rig_add(false);
	l = rig_add(false);
	liar_up();
	rig_meet(d, s);
}

static void junk_fill(void)
{
	static uint8_t rubbish[DEPOSIT_SEALED_LEN_MIN];

	liar.row_cnt = DEPOSIT_PAGE_MAX;
	liar.is_endless = true;
	for (unsigned i = 0; i < DEPOSIT_PAGE_MAX; i++)
		liar.rows[i] = (struct deposit_row_message){.id = {(uint8_t)i, 1},
							    .expires_s = UINT64_MAX / 2,
							    .sealed = rubbish,
							    .sealed_len = sizeof(rubbish)};
}

static void put(uint32_t number, const uint8_t *receipt)
{
	const struct rig_put deposit = {.from = d,
					.store = s,
					.recipient = r->mesh->key,
					.number = number,
					.receipt = receipt};

	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(NS_PER_S);
}

/* --- junk --- */

static void test_a_liar_that_gives_junk_without_end_is_left_alone_for_longer_each_time(void)
{
	struct deposit_pull_ask ask = {.store = NULL};
	uint64_t before;

	begin();
	ask.store = l->mesh->key;
	junk_fill();
	rig_meet(r, l);
	CHECK_EQ(rig_stats(r).junk_cnt, DEPOSITS_PER_RECIPIENT + 1);
	CHECK_EQ(rig_stats(r).rest_cnt, 1);
	CHECK_EQ(deposits_pull_from(r->deposits, &ask, rig_lab.now_ns), WEFT_EBUSY);
	/* One, two, four, eight minutes, and then each ten. */
	rig_pass(1800 * NS_PER_S);
	before = rig_stats(r).rest_cnt;
	CHECK(before >= 4 && before <= 6);
	CHECK_EQ(rig_stats(r).junk_cnt, before * (DEPOSITS_PER_RECIPIENT + 1));
	rig_pass(3600 * NS_PER_S);
	CHECK(rig_stats(r).rest_cnt - before <= 6);
	/* And once it is honest, it is asked each minute again. */
	liar.is_endless = false;
	liar.row_cnt = 0;
	rig_pass(660 * NS_PER_S);
	before = liar.pull_cnt;
	rig_pass(600 * NS_PER_S);
	CHECK_EQ(liar.pull_cnt - before, 10);
	rig_end();
}

static void test_an_honest_node_full_of_junk_is_not_left_alone_and_the_deposit_behind_it_comes(void)
{
	static const uint8_t rubbish[DEPOSIT_SEALED_LEN_MIN];
	uint8_t id[DEPOSIT_ID_LEN] = {9}, junk_peer[DEPOSIT_KEY_LEN] = {4};
	struct deposit_record record = {.kind = DEPOSIT_RECORD_KEPT,
					.source = {.ip = {9, 9, 9, 9}, .family = ADDR_IPV4},
					.peer = junk_peer,
					.id = id,
					.sealed = rubbish,
					.sealed_len = sizeof(rubbish)};

	begin();
	rig_stop(s);
	s->config.room_len = 16 * DEPOSITS_ROOM_MIN;
	rig_start(s);
	rig_meet(d, s);
	record.recipient = r->mesh->key;
	record.expires_s = mesh_lab_wall_s(&rig_lab) + RIG_HOUR_S;
	for (unsigned i = 0; i < DEPOSITS_PER_RECIPIENT; i++) {
		memcpy(id, &i, sizeof(i));
		CHECK_EQ(deposits_row_keep(s->deposits, &record, rig_lab.now_ns), 0);
	}
	put(1, NULL);
	rig_meet(r, s);
	CHECK_EQ(rig_stats(r).junk_cnt, DEPOSITS_PER_RECIPIENT - 1);
	CHECK_EQ(rig_stats(r).rest_cnt, 0);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	rig_end();
}

static void test_liars_without_number_share_what_a_minute_of_junk_may_cost(void)
{
	struct deposit_pull_ask ask = {.store = NULL};
	struct deposit_patience *patience;
	uint64_t before;

	begin();
	junk_fill();
	rig_meet(r, l);
	patience = &r->deposits->patience;
	patience->useless_cnt = DEPOSITS_USELESS_PER_MIN; /* others spent it */
	memset(patience->rests, 0, sizeof(patience->rests));
	before = rig_stats(r).junk_cnt;
	ask.store = l->mesh->key;
	CHECK_EQ(deposits_pull_from(r->deposits, &ask, rig_lab.now_ns), 0);
	rig_pass(NS_PER_S);
	CHECK_EQ(rig_stats(r).junk_cnt - before, DEPOSITS_USELESS_SURE);
	/* A chosen node is heard all the same, and all are in the next minute. */
	rig_chosen[3] = 1;
	before = rig_stats(r).junk_cnt;
	CHECK_EQ(deposits_pull_from(r->deposits, &ask, rig_lab.now_ns), 0);
	rig_pass(NS_PER_S);
	CHECK_EQ(rig_stats(r).junk_cnt - before, DEPOSITS_PER_RECIPIENT + 1);
	rig_chosen[3] = 0;
	memset(patience->rests, 0, sizeof(patience->rests));
	rig_pass(61 * NS_PER_S);
	CHECK(patience->useless_cnt <= DEPOSITS_PER_RECIPIENT + 1);
	rig_end();
}

/* --- marks --- */

/* One deposit as its depositor seals it, that L gives with an end of its own. */
static void liar_seal(uint64_t life_s, uint64_t said_s)
{
	static struct deposit_scratch scratch;
	static uint8_t sealed[DEPOSIT_SEALED_LEN_MIN + sizeof(uint32_t)];
	const uint8_t fresh[NODE_BOX_RANDOM_LEN] = {7};
	const uint32_t number = 1;
	const struct deposit_plain plain = {.kind = DEPOSIT_SERVICE_MESSAGE,
					    .receipt = {3},
					    .expires_s = mesh_lab_wall_s(&rig_lab) + life_s,
					    .content = (const uint8_t *)&number,
					    .len = sizeof(number)};

	CHECK_EQ(deposits_seal(r->mesh->key, &plain, fresh, &scratch, sealed), 0);
	liar.row_cnt = 1;
	deposits_id_of(plain.receipt, liar.rows[0].id);
	liar.rows[0].expires_s = said_s;
	liar.rows[0].sealed = sealed;
	liar.rows[0].sealed_len = sizeof(sealed);
}

static void test_a_mark_lives_as_the_depositor_says_and_not_the_store_node(void)
{
	begin();
	liar_seal(RIG_HOUR_S, mesh_lab_wall_s(&rig_lab) + 3);
	rig_meet(r, l);
	CHECK_EQ(rig_got(r, 1), 1);
	rig_pass(600 * NS_PER_S); /* it is given each minute */
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(r->asked_cnt, 1);
	CHECK_EQ(rig_stats(r).tombstone_cnt, 1);
	/* Its time is over: the mark goes, and it does not come either. */
	rig_pass(3600 * NS_PER_S);
	CHECK_EQ(rig_stats(r).tombstone_cnt, 0);
	CHECK_EQ(r->asked_cnt, 1);
	rig_end();
	begin();
	liar_seal(RIG_HOUR_S, UINT64_MAX / 2);
	rig_meet(r, l);
	CHECK_EQ(rig_got(r, 1), 1);
	rig_pass(3700 * NS_PER_S);
	CHECK_EQ(rig_stats(r).tombstone_cnt, 0);
	rig_end();
}

static void test_a_mark_has_a_longest_life(void)
{
	begin();
	liar_seal(100 * DEPOSITS_CHOSEN_LIFE_S, UINT64_MAX / 2);
	rig_meet(r, l);
	CHECK_EQ(rig_got(r, 1), 1);
	liar.row_cnt = 0;
	rig_pass((DEPOSITS_CHOSEN_LIFE_S - 5) * NS_PER_S);
	CHECK_EQ(rig_stats(r).tombstone_cnt, 1);
	rig_pass(10 * NS_PER_S);
	CHECK_EQ(rig_stats(r).tombstone_cnt, 0);
	rig_end();
}

static void test_the_mark_of_a_node_that_keeps_for_others_does_not_give_way_to_them(void)
{
	static const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {1, 9};
	uint8_t id[DEPOSIT_ID_LEN] = {9}, peer[DEPOSIT_KEY_LEN] = {4}, to[DEPOSIT_KEY_LEN] = {5};
	static const uint8_t rubbish[DEPOSIT_SEALED_LEN_MIN];
	struct deposit_record record = {.kind = DEPOSIT_RECORD_KEPT,
					.peer = peer,
					.recipient = to,
					.id = id,
					.sealed = rubbish,
					.sealed_len = sizeof(rubbish)};
	struct rig_put deposit;

	begin();
	deposit = (struct rig_put){
		.from = d, .store = s, .recipient = s->mesh->key, .number = 1, .receipt = receipt};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(2 * NS_PER_S);
	CHECK_EQ(rig_got(s, 1), 1);
	/* Its depositor says it again, as one that lost its outbox. */
	deposits_id_of(receipt, id);
	CHECK_EQ(deposits_withdraw(d->deposits, id, rig_lab.now_ns), 1);
	record.expires_s = mesh_lab_wall_s(&rig_lab) + RIG_HOUR_S;
	for (unsigned i = 0; i < 4000; i++) {
		memcpy(id, &i, sizeof(i));
		memcpy(to, &i, sizeof(i));
		memcpy(peer, &i, sizeof(i));
		record.source = (struct addr){.ip = {20, (uint8_t)(i >> 8), (uint8_t)i, 1},
					      .family = ADDR_IPV4};
		(void)!deposits_row_keep(s->deposits, &record, rig_lab.now_ns);
		if (i % 100 == 0)
			rig_pass(20 * NS_PER_MS);
	}
	CHECK_EQ(rig_stats(s).unit_cnt, 1024);
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(120 * NS_PER_S);
	CHECK_EQ(rig_got(s, 1), 1);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 1);
	rig_end();
}

/* --- names --- */

static void put_junk(uint8_t *id)
{
	static const uint8_t rubbish[DEPOSIT_SEALED_LEN_MIN];
	static uint8_t bytes[4096];
	struct deposit_put_message message = {.sealed = rubbish, .sealed_len = sizeof(rubbish)};
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(message.id, id, DEPOSIT_ID_LEN);
	memcpy(message.recipient, r->mesh->key, sizeof(message.recipient));
	message.expires_s = mesh_lab_wall_s(&rig_lab) + RIG_HOUR_S;
	deposits_put_write(&w, &message);
	mesh_lab_ask(l->mesh, s->mesh, MESH_MAILBOX_PUT, bytes, writer_len(&w), &rig_asked);
	CHECK_EQ(rig_asked.reply.err, 0);
}

/* L knows the name of a deposit from another STORE node, and puts junk under it first. */
static void test_junk_under_the_name_of_a_deposit_does_not_keep_it_away(void)
{
	static const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {2, 2};
	uint8_t id[DEPOSIT_ID_LEN];

	begin();
	deposits_id_of(receipt, id);
	put_junk(id);
	rig_meet(r, s);
	CHECK_EQ(rig_stats(r).junk_cnt, 1);
	CHECK_EQ(rig_stats(s).held_cnt + rig_stats(s).tombstone_cnt, 0);
	put(1, receipt);
	CHECK_EQ(d->moved_cnts[DEPOSIT_KEPT], 1);
	rig_pass(61 * NS_PER_S);
	CHECK_EQ(rig_got(r, 1), 1);
	rig_pass(900 * NS_PER_S);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 1);
	rig_end();
}

/* R keeps deposits for others, too, so the junk lies at R itself. */
static void test_junk_that_a_node_kept_for_itself_leaves_no_mark(void)
{
	static const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {2, 3},
			     other[DEPOSIT_RECEIPT_LEN] = {2};
	struct rig_node *was_s = s;
	uint8_t id[DEPOSIT_ID_LEN];

	begin();
	rig_stop(r);
	r->config.is_store = true;
	rig_start(r);
	rig_meet(l, r);
	deposits_id_of(receipt, id);
	s = r;
	put_junk(id);
	s = was_s;
	rig_pass(2 * NS_PER_S);
	CHECK_EQ(rig_stats(r).junk_cnt, 1);
	CHECK_EQ(rig_stats(r).held_cnt + rig_stats(r).tombstone_cnt, 0);
	put(1, receipt);
	put(2, other);
	rig_meet(r, s);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(rig_got(r, 2), 1);
	rig_end();
}

static void test_a_depositor_is_not_deceived_by_a_store_node_that_delivers_nothing(void)
{
	struct rig_put deposit;

	begin();
	rig_meet(d, l);
	deposit = (struct rig_put){.from = d, .store = l, .recipient = r->mesh->key, .number = 1};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(3000 * NS_PER_S);
	CHECK(liar.pull_cnt >= 3);
	CHECK_EQ(d->moved_err, WEFT_EREFUSED);
	rig_pass(700 * NS_PER_S);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 0);
	CHECK_EQ(d->moved_cnts[DEPOSIT_EXPIRED], 1);
	rig_end();
}

/* --- moments --- */

static void test_a_part_takes_its_deposit_back_while_it_hears_of_it(void)
{
	static const enum deposit_state states[] = {DEPOSIT_KEPT, DEPOSIT_WAITING};
	uint64_t put_cnt;

	for (unsigned i = 0; i < 2; i++) {
		begin();
		d->takes_back = true;
		d->takes_back_at = states[i];
		s->refuses_messages = states[i] == DEPOSIT_WAITING;
		put(1, NULL);
		CHECK_EQ(d->moved_cnts[states[i]], 1);
		CHECK_EQ(rig_stats(d).out_cnt, 0);
		s->refuses_messages = false;
		put_cnt = rig_stats(s).put_cnt;
		rig_pass(900 * NS_PER_S);
		CHECK_EQ(rig_stats(s).put_cnt, put_cnt);
		/* Another one has its place, and its own time. */
		d->takes_back = false;
		put(2, NULL);
		rig_pass(3700 * NS_PER_S);
		CHECK_EQ(rig_stats(d).out_cnt, 0);
		CHECK_EQ(d->moved_cnts[DEPOSIT_EXPIRED], 1);
		CHECK_EQ(rig_stats(s).put_cnt <= 20, true);
		rig_end();
	}
	/* The STORE node has lost it. */
	begin();
	put(1, NULL);
	rig_stop(s);
	scratch_remove(s->dir);
	scratch_make(s->dir);
	rig_start(s);
	rig_meet(d, s);
	d->takes_back = true;
	d->takes_back_at = DEPOSIT_WAITING;
	rig_pass(120 * NS_PER_S);
	CHECK_EQ(rig_stats(d).out_cnt, 0);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	rig_end();
}

static void test_a_deposit_that_is_erased_each_time_is_put_more_and_more_seldom(void)
{
	uint64_t cnt;

	begin();
	put(1, NULL);
	for (unsigned i = 0; i < 3000; i++) {
		struct deposit_row *row = pool_next(&s->deposits->rows, NULL);

		if (row)
			deposits_row_drop(s->deposits, row, true, rig_lab.now_ns);
		rig_pass(NS_PER_S);
	}
	cnt = rig_stats(s).kept_cnt;
	CHECK(cnt >= 5 && cnt <= 25);
	rig_end();
}

static struct {
	unsigned cnt;
	int err;
} heard;

static void on_put_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	heard.cnt++;
	heard.err = reply->err;
}

/* The row that is there when the first batch is durable is of the second. */
static void test_a_put_is_answered_when_what_it_says_is_durable(void)
{
	static const uint8_t rubbish[DEPOSIT_SEALED_LEN_MIN];
	static uint8_t bytes[4096], reply[256];
	struct deposit_put_message message = {
		.id = {5}, .sealed = rubbish, .sealed_len = sizeof(rubbish)};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct mesh_ask ask = {.type = MESH_MAILBOX_PUT,
			       .payload = bytes,
			       .reply_buf = reply,
			       .reply_cap = sizeof(reply),
			       .timeout_ns = 20 * NS_PER_S,
			       .reply = on_put_answer};
	struct mesh_request *request;
	struct deposit_row *row;
	struct mesh_seam seam;

	begin();
	seam = mesh_lab_seam_of(d->mesh);
	heard.cnt = 0;
	memcpy(message.recipient, r->mesh->key, sizeof(message.recipient));
	message.expires_s = mesh_lab_wall_s(&rig_lab) + RIG_HOUR_S;
	deposits_put_write(&w, &message);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, s->mesh->key, MESH_KEY_LEN);
	CHECK_EQ(seam.ops->ask(d->mesh, &ask, rig_lab.now_ns, &request), 0);
	for (unsigned i = 0; i < 1000 && rig_stats(s).held_cnt == 0; i++)
		rig_pass(NS_PER_MS);
	row = deposits_rows_lookup(s->deposits, r->mesh->key, message.id);
	CHECK(row != NULL);
	timer_wheel_expire(&s->timers, rig_lab.now_ns + DEPOSITS_WRITE_WINDOW_NS);
	CHECK_EQ(s->deposits->writes.commits.used_cnt, 1);
	/* Its mark goes with the next batch, which the disk does not take. */
	CHECK(!deposit_row_is_durable(row));
	deposits_row_deliver(s->deposits, row, NULL, rig_lab.now_ns);
	store_flush(s->store);
	store_freeze(s->store);
	(void)store_reap(s->store);
	rig_pass(NS_PER_S);
	CHECK_EQ(heard.cnt, 1);
	CHECK_EQ(heard.err, WEFT_EBUSY);
	rig_end();
}

int main(void)
{
	RUN(test_a_liar_that_gives_junk_without_end_is_left_alone_for_longer_each_time);
	RUN(test_an_honest_node_full_of_junk_is_not_left_alone_and_the_deposit_behind_it_comes);
	RUN(test_liars_without_number_share_what_a_minute_of_junk_may_cost);
	RUN(test_a_mark_lives_as_the_depositor_says_and_not_the_store_node);
	RUN(test_a_mark_has_a_longest_life);
	RUN(test_the_mark_of_a_node_that_keeps_for_others_does_not_give_way_to_them);
	RUN(test_junk_under_the_name_of_a_deposit_does_not_keep_it_away);
	RUN(test_junk_that_a_node_kept_for_itself_leaves_no_mark);
	RUN(test_a_depositor_is_not_deceived_by_a_store_node_that_delivers_nothing);
	RUN(test_a_part_takes_its_deposit_back_while_it_hears_of_it);
	RUN(test_a_deposit_that_is_erased_each_time_is_put_more_and_more_seldom);
	RUN(test_a_put_is_answered_when_what_it_says_is_durable);
	return check_done();
}
