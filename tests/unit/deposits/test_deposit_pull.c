/* SPDX-License-Identifier: Apache-2.0 */
/* Taking and erasing deposits, and pulls for other keys than a node's own. */
#include "deposit_rig.h"
#include "deposits/deposit_seal.h"

/* D leaves deposits at S. R is a node, E one that has nothing to do with them. */
static struct rig_node *d, *s, *r, *e;
static struct node_key *one_time;

static void begin(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {99};

	rig_begin(&rig_calm);
	d = rig_add(false);
	s = rig_add(true);
	r = rig_add(false);
	e = rig_add(false);
	if (node_key_from_seed(seed, &one_time) < 0)
		abort();
	rig_meet(d, s);
}

static void end_all(void)
{
	node_key_free(one_time);
	rig_end();
}

static void put_for(const uint8_t *recipient, uint32_t number)
{
	const struct rig_put deposit = {
		.from = d, .store = s, .recipient = recipient, .number = number};

	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(2 * NS_PER_S);
}

static int pull(struct rig_node *node, const struct rig_node *store, const struct node_key *key)
{
	const struct deposit_pull_ask ask = {
		.store = store->mesh->key, .key = key, .done = rig_pulled, .arg = node};
	int err = deposits_pull_from(node->deposits, &ask, rig_lab.now_ns);

	rig_pass(2 * NS_PER_S);
	return err;
}

static void test_a_key_that_signs_for_the_session_gets_its_deposits(void)
{
	begin();
	put_for(node_key_public(one_time), 1);
	rig_meet(r, s);
	CHECK_EQ(r->asked_cnt, 0);
	CHECK_EQ(pull(r, s, one_time), 0);
	CHECK_EQ(r->pull_cnt, 1);
	CHECK_EQ(r->pull_err, 0);
	CHECK_EQ(r->pulled_cnt, 1);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_MEM(r->got[0].recipient, node_key_public(one_time), MESH_KEY_LEN);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(pull(r, s, one_time), 0);
	CHECK_EQ(r->pulled_cnt, 1);
	end_all();
}

static void test_a_node_gets_no_deposits_of_another_one(void)
{
	begin();
	put_for(r->mesh->key, 1);
	rig_meet(e, s);
	CHECK_EQ(e->asked_cnt, 0);
	CHECK_EQ(rig_stats(e).junk_cnt, 0);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	end_all();
}

/* --- by hand --- */

static uint8_t bytes[4096];

static int say(struct rig_node *from, unsigned type, const struct writer *w)
{
	mesh_lab_ask(from->mesh, s->mesh, type, bytes, writer_len(w), &rig_asked);
	return rig_asked.reply.err;
}

static void session_of(const struct rig_node *node, uint8_t id[static MAILPULL_SESSION_LEN])
{
	const struct mesh_seam seam = mesh_lab_seam_of(node->mesh);

	if (seam.ops->session(seam.mesh, s->mesh->key, id) < 0)
		abort();
}

/* What S says to a pull of node with a mailpull for session; how many it gave, or an error. */
static int pull_with(struct rig_node *node, const uint8_t *session)
{
	static struct deposit_page page;
	uint8_t mailpull[MAILPULL_LEN_MAX];
	struct writer m = writer_of(mailpull, sizeof(mailpull)),
		      w = writer_of(bytes, sizeof(bytes));
	struct deposit_pull_message message = {.mailpull = mailpull};
	int err;

	deposits_mailpull_write(&m, one_time, session);
	message.mailpull_len = writer_len(&m);
	deposits_pull_write(&w, &message);
	err = say(node, MESH_MAILBOX_PULL, &w);
	if (err == 0)
		err = deposits_page_parse(rig_asked.reply.payload, rig_asked.reply.payload_len,
					  &page);
	return err < 0 ? err : page.row_cnt;
}

static void test_a_mailpull_that_was_overheard_is_refused_on_another_session(void)
{
	uint8_t session[MAILPULL_SESSION_LEN];

	begin();
	put_for(node_key_public(one_time), 1);
	rig_meet(r, s);
	rig_meet(e, s);
	session_of(r, session);
	CHECK_EQ(pull_with(r, session), 1);
	CHECK_EQ(pull_with(e, session), WEFT_EREFUSED);
	CHECK_EQ(rig_stats(s).foreign_cnt, 1);
	/* And on a later session of the same two nodes. */
	rig_lab.session_epoch++;
	CHECK_EQ(pull_with(r, session), WEFT_EREFUSED);
	session_of(r, session);
	CHECK_EQ(pull_with(r, session), 1);
	end_all();
}

static struct deposit_ack_message ack_for(const uint8_t *recipient)
{
	struct deposit_ack_message message = {.receipt_cnt = 0};

	memcpy(message.recipient, recipient, sizeof(message.recipient));
	return message;
}

static int acknowledge(struct rig_node *from, const struct deposit_ack_message *message)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_ack_write(&w, message);
	return say(from, MESH_MAILBOX_ACK, &w);
}

static void test_a_name_does_not_erase_and_a_receipt_does(void)
{
	const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {5};
	struct deposit_ack_message message;
	struct rig_put deposit;
	uint64_t cnt;

	begin();
	deposit = (struct rig_put){.from = d,
				   .store = s,
				   .recipient = node_key_public(one_time),
				   .number = 1,
				   .receipt = receipt};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(2 * NS_PER_S);
	rig_meet(e, s);
	message = ack_for(deposit.recipient);
	message.id_cnt = 1;
	deposits_id_of(receipt, message.ids[0]);
	CHECK_EQ(acknowledge(e, &message), WEFT_EREFUSED);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	message = ack_for(deposit.recipient);
	message.receipt_cnt = 1;
	memcpy(message.receipts[0], receipt, sizeof(receipt));
	message.receipts[0][3] ^= 1;
	CHECK_EQ(acknowledge(e, &message), 0);
	CHECK_EQ(deposits_ack_answer_parse(rig_asked.reply.payload, rig_asked.reply.payload_len,
					   &cnt),
		 0);
	CHECK_EQ(cnt, 0);
	message.receipts[0][3] ^= 1;
	CHECK_EQ(acknowledge(e, &message), 0);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	end_all();
}

static void test_what_cannot_be_opened_is_erased_by_its_recipient(void)
{
	struct deposit_put_message message = {.id = {7}, .sealed_len = DEPOSIT_SEALED_LEN_MIN};
	static const uint8_t rubbish[DEPOSIT_SEALED_LEN_MIN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	begin();
	message.sealed = rubbish;
	message.expires_s = mesh_lab_wall_s(&rig_lab) + 100;
	memcpy(message.recipient, node_key_public(one_time), sizeof(message.recipient));
	deposits_put_write(&w, &message);
	CHECK_EQ(say(d, MESH_MAILBOX_PUT, &w), 0);
	memcpy(message.recipient, r->mesh->key, sizeof(message.recipient));
	w = writer_of(bytes, sizeof(bytes));
	deposits_put_write(&w, &message);
	CHECK_EQ(say(d, MESH_MAILBOX_PUT, &w), 0);
	CHECK_EQ(rig_stats(s).held_cnt, 2);
	rig_meet(r, s);
	CHECK_EQ(rig_stats(r).junk_cnt, 1);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	CHECK_EQ(pull(r, s, one_time), 0);
	CHECK_EQ(rig_stats(r).junk_cnt, 2);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(r->asked_cnt, 0);
	end_all();
}

static void test_what_was_erased_unopened_is_put_again(void)
{
	struct deposit_ack_message message;
	const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {6};
	struct rig_put deposit;

	begin();
	deposit = (struct rig_put){
		.from = d, .store = s, .recipient = r->mesh->key, .number = 1, .receipt = receipt};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(2 * NS_PER_S);
	/* R says that it cannot open it: so no receipt comes, and it is put again. */
	message = ack_for(r->mesh->key);
	message.id_cnt = 1;
	deposits_id_of(receipt, message.ids[0]);
	CHECK_EQ(acknowledge(r, &message), 0);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(rig_stats(s).tombstone_cnt, 0);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 0);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(d->moved_cnts[DEPOSIT_WAITING], 1);
	CHECK_EQ(d->moved_err, 0);
	rig_pass(3600 * NS_PER_S);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 1);
	end_all();
}

static void test_messages_that_are_none_are_refused_and_counted(void)
{
	static const struct {
		unsigned type;
		const char *bytes;
	} rows[] = {{MESH_MAILBOX_PUT, "\xa0"},
		    {MESH_MAILBOX_PULL, "\x80"},
		    {MESH_MAILBOX_ACK, "\xa0"}};

	begin();
	for (unsigned i = 0; i < 3; i++) {
		mesh_lab_ask(d->mesh, s->mesh, rows[i].type, rows[i].bytes, 1, &rig_asked);
		CHECK_EQ(rig_asked.reply.err, WEFT_EMALFORMED);
		CHECK_EQ(rig_stats(s).malformed_cnt, i + 1);
	}
	end_all();
}

static void test_a_put_that_is_over_or_for_no_key_is_refused_and_a_question_makes_none(void)
{
	struct deposit_put_message message = {.id = {7}};
	static const uint8_t sealed[DEPOSIT_SEALED_LEN_MIN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	begin();
	memcpy(message.recipient, r->mesh->key, sizeof(message.recipient));
	message.expires_s = mesh_lab_wall_s(&rig_lab) + 100;
	deposits_put_write(&w, &message);
	CHECK_EQ(say(d, MESH_MAILBOX_PUT, &w), WEFT_EABSENT);
	message.sealed = sealed;
	message.sealed_len = sizeof(sealed);
	message.expires_s = mesh_lab_wall_s(&rig_lab);
	w = writer_of(bytes, sizeof(bytes));
	deposits_put_write(&w, &message);
	CHECK_EQ(say(d, MESH_MAILBOX_PUT, &w), WEFT_EREFUSED);
	message.expires_s += 100;
	memset(message.recipient, 0, sizeof(message.recipient));
	w = writer_of(bytes, sizeof(bytes));
	deposits_put_write(&w, &message);
	CHECK_EQ(say(d, MESH_MAILBOX_PUT, &w), WEFT_EMALFORMED);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	end_all();
}

/* --- pages, and this node itself --- */

static void test_many_deposits_come_page_by_page(void)
{
	begin();
	rig_stop(s);
	s->config.room_len = 16 * DEPOSITS_ROOM_MIN;
	rig_start(s);
	rig_meet(d, s);
	for (uint32_t i = 0; i < 200; i++) {
		/* Every fortieth fills a page alone. */
		const struct rig_put deposit = {.from = d,
						.store = s,
						.recipient = r->mesh->key,
						.number = i,
						.len = i % 40 ? 0 : DEPOSIT_CONTENT_LEN_MAX};

		CHECK_EQ(rig_put(&deposit), 0);
	}
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 200);
	rig_meet(r, s);
	CHECK_EQ(r->got_cnt, 200);
	CHECK(rig_stats(r).asked_cnt >= 8);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	end_all();
}

static void test_a_node_may_be_its_own_store_node(void)
{
	struct rig_put deposit;

	begin();
	deposit = (struct rig_put){.from = r, .store = r, .recipient = r->mesh->key, .number = 1};
	CHECK_EQ(rig_put(&deposit), 0);
	deposit.recipient = node_key_public(one_time);
	deposit.number = 2;
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(2 * NS_PER_S);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(rig_got(r, 2), 0);
	CHECK_EQ(r->moved_cnts[DEPOSIT_DELIVERED], 1);
	rig_crash(r);
	rig_start(r);
	CHECK_EQ(rig_stats(r).held_cnt, 1);
	CHECK_EQ(pull(r, r, one_time), 0);
	CHECK_EQ(r->pull_cnt, 1);
	CHECK_EQ(rig_got(r, 2), 1);
	CHECK_EQ(r->moved_cnts[DEPOSIT_DELIVERED], 2);
	CHECK_EQ(r->got[0].cnt, 1);
	end_all();
}

static void test_a_neighbour_leaves_a_deposit_by_this_nodes_hand(void)
{
	const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {8};
	const uint32_t number = 3;
	struct deposit_draft draft = {.kind = DEPOSIT_SERVICE_MESSAGE,
				      .content = &number,
				      .len = sizeof(number),
				      .receipt = receipt,
				      .done = rig_done};

	begin();
	draft.recipient = r->mesh->key;
	draft.expires_s = mesh_lab_wall_s(&rig_lab) + 40u * 24 * RIG_HOUR_S;
	draft.arg = s;
	CHECK_EQ(deposits_keep(s->deposits, &draft, d->mesh->key, rig_lab.now_ns), 0);
	CHECK_EQ(deposits_keep(s->deposits, &draft, d->mesh->key, rig_lab.now_ns), 0);
	CHECK_EQ(deposits_keep(d->deposits, &draft, s->mesh->key, rig_lab.now_ns), WEFT_EREFUSED);
	rig_pass(2 * NS_PER_S);
	CHECK_EQ(s->durable_cnt, 2);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_pass((DEPOSITS_LIFE_S - 10) * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_meet(r, s);
	CHECK_EQ(rig_got(r, 3), 1);
	end_all();
}

static void test_only_so_many_pulls_are_under_way_and_one_that_fails_says_so(void)
{
	const struct deposit_pull_ask ask = {
		.store = NULL, .key = NULL, .done = rig_pulled, .arg = NULL};
	struct deposit_pull_ask asks = ask;
	unsigned cnt = 0;

	begin();
	rig_meet(r, s);
	mesh_lab_down(s->mesh);
	asks.store = s->mesh->key;
	asks.arg = r;
	while (cnt < 100 && deposits_pull_from(r->deposits, &asks, rig_lab.now_ns) == 0)
		cnt++;
	CHECK_EQ(cnt, 16);
	rig_pass(30 * NS_PER_S);
	CHECK_EQ(r->pull_cnt, 16);
	CHECK_EQ(r->pull_err, WEFT_ETIMEOUT);
	end_all();
}

static void test_a_reply_box_is_a_neighbour_and_a_chosen_one_first(void)
{
	struct rig_node *other;
	uint8_t key[MESH_KEY_LEN];

	begin();
	CHECK_EQ(deposits_choose(r->deposits, key), WEFT_EABSENT);
	CHECK_EQ(deposits_choose(s->deposits, key), WEFT_EABSENT); /* never itself */
	other = rig_add(true);
	rig_meet(r, s);
	rig_meet(r, other);
	rig_chosen[4] = 1;
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(deposits_choose(r->deposits, key), 0);
		CHECK_MEM(key, other->mesh->key, MESH_KEY_LEN);
	}
	end_all();
}

int main(void)
{
	RUN(test_a_key_that_signs_for_the_session_gets_its_deposits);
	RUN(test_a_node_gets_no_deposits_of_another_one);
	RUN(test_a_mailpull_that_was_overheard_is_refused_on_another_session);
	RUN(test_a_name_does_not_erase_and_a_receipt_does);
	RUN(test_what_cannot_be_opened_is_erased_by_its_recipient);
	RUN(test_what_was_erased_unopened_is_put_again);
	RUN(test_messages_that_are_none_are_refused_and_counted);
	RUN(test_a_put_that_is_over_or_for_no_key_is_refused_and_a_question_makes_none);
	RUN(test_many_deposits_come_page_by_page);
	RUN(test_a_node_may_be_its_own_store_node);
	RUN(test_a_neighbour_leaves_a_deposit_by_this_nodes_hand);
	RUN(test_only_so_many_pulls_are_under_way_and_one_that_fails_says_so);
	RUN(test_a_reply_box_is_a_neighbour_and_a_chosen_one_first);
	return check_done();
}
