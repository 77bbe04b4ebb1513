/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_relay.h"

#include <string.h>

#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/fair/load.h"
#include "base/random.h"
#include "stream_inlet.h"

/* The open and the end of a stream, which must reach home in any case. */
#define MESSAGES_PER_STREAM 2

/* Messages that home has not read, at most. */
#define POSTED_CAP (RELAY_MESSAGES_LEN_MAX / RELAY_MESSAGE_LEN)
/* Home's messages come again, or wait there, when these are full. */
#define IN_CNT 4096
#define IN_LEN ((size_t)1 << 20)
/*
 * There is room for as much of the worker's messages as may be charged, and for
 * frames that go back.
 */
#define OUT_CNT (1u << 18)
#define OUT_LEN (RELAY_LEN_MAX + 2 * RELAY_MESSAGES_LEN_MAX)
_Static_assert(POSTED_CAP < OUT_CNT, "messages that home has not read");
/* A peer's account outlives its streams until home has read their messages. */
#define ACCOUNTS_PER_PEER 2
/* Each has one of a network, too. */
#define ACCOUNTS_PER_STREAM (2 * ACCOUNTS_PER_PEER)

struct relayed {
	struct stream_relay *relay;
	struct relay_account *account;
	struct mesh_stream *stream;		/* NULL: it has ended, and home has to be
						 * informed */
	struct stream_say *says, **last_say_at; /* that the stream has no room for yet */
	size_t unused_len;
	bool is_finish_wanted;
	struct mesh_stream_end end;
};

static struct relay_account *account_make(struct stream_relay *relay, uint64_t id)
{
	struct relay_account *account = map_lookup(&relay->accounts_by_id, &id);

	if (account)
		return account;
	account = pool_acquire(&relay->accounts);
	if (!account)
		return NULL;
	account->id = id;
	if (map_put(&relay->accounts_by_id, &id, account) == 0)
		return account;
	pool_release(&relay->accounts, account);
	return NULL;
}

/* An account is there while it holds something or is used. */
static void account_settle(struct stream_relay *relay, struct relay_account *account)
{
	struct relay_account *network = account->network;

	if (account->user_cnt || account->messages_len || account->unused_len)
		return;
	map_delete(&relay->accounts_by_id, &account->id);
	pool_release(&relay->accounts, account);
	if (!network)
		return;
	network->user_cnt--;
	account_settle(relay, network);
}

/* The account of a peer with that path, or NULL. */
static struct relay_account *account_open(struct stream_relay *relay, const struct fair_path *path,
					  const uint8_t key[static MESH_KEY_LEN])
{
	unsigned last = path->level_cnt - 1u;
	struct relay_account *account = account_make(relay, path->ids[last]);
	struct relay_account *network;

	if (!account || account->network)
		return account;
	network = account_make(relay, fair_path_network(path));
	if (!network || network == account) {
		account_settle(relay, account);
		return NULL;
	}
	memcpy(account->key, key, MESH_KEY_LEN);
	account->network = network;
	network->user_cnt++;
	return account;
}

/* Whether an account with own_len of all_len may hold len more: at most factor times what is free then. */
static bool leaves_enough(size_t own_len, size_t all_len, size_t len, size_t max, size_t factor)
{
	return all_len + len <= max && own_len + len <= factor * (max - all_len - len);
}

static bool relay_has_room(const struct stream_relay *relay, const struct relay_account *account,
			   size_t message_cnt, size_t len)
{
	size_t messages_len = message_cnt * RELAY_MESSAGE_LEN, factor = 1;

	for (; account; account = account->network) {
		if (!leaves_enough(account->messages_len, relay->messages_len, messages_len,
				   relay->messages_len_max, factor) ||
		    !leaves_enough(account->unused_len, relay->unused_len, len, relay->len_max,
				   factor))
			return false;
		factor = FAIR_NETWORK_FACTOR;
	}
	return true;
}

static void account_add(struct relay_account *account, size_t messages_len, size_t len)
{
	account->messages_len += messages_len;
	account->unused_len += len;
	account->network->messages_len += messages_len;
	account->network->unused_len += len;
}

static void relay_count(struct stream_relay *relay)
{
	relay->stats.used_len = relay->messages_len + relay->unused_len;
	if (relay->stats.used_len > relay->stats.peak_len)
		relay->stats.peak_len = relay->stats.used_len;
}

/* Before relay_tell, once for each message; home gives the messages back (STREAM_TAKEN). */
static void relay_charge(struct stream_relay *relay, struct relay_account *account,
			 size_t message_cnt, size_t len)
{
	account_add(account, message_cnt * RELAY_MESSAGE_LEN, len);
	relay->messages_len += message_cnt * RELAY_MESSAGE_LEN;
	relay->unused_len += len;
	relay_count(relay);
}

/* The account may be gone after it. */
static void relay_discharge(struct stream_relay *relay, struct relay_account *account,
			    size_t message_cnt, size_t len)
{
	account_add(account, -(message_cnt * RELAY_MESSAGE_LEN), -len);
	relay->messages_len -= message_cnt * RELAY_MESSAGE_LEN;
	relay->unused_len -= len;
	relay_count(relay);
	account_settle(relay, account);
}

/* Posts a message that account is, or will be, charged for. False: no room for it. */
static bool relay_tell(struct stream_relay *relay, struct relay_account *account,
		       const struct mailbox_message *message)
{
	if (!worker_stream_queue_post(relay->out, message))
		return false;
	/* As many as may be charged fit. */
	weft_assert(relay->posted_cnt < POSTED_CAP);
	relay->posted[(relay->posted_first + relay->posted_cnt++) % POSTED_CAP] = account;
	return true;
}

/* Home has read the cnt messages that were posted first. */
static void relay_taken(struct stream_relay *relay, size_t cnt)
{
	weft_assert(cnt <= relay->posted_cnt);
	for (; cnt > 0; cnt--) {
		struct relay_account *account = relay->posted[relay->posted_first];

		relay->posted_first = (relay->posted_first + 1) % POSTED_CAP;
		relay->posted_cnt--;
		relay_discharge(relay, account, 1, 0);
	}
}

static void say_done(void *arg)
{
	struct stream_say *say = arg;

	worker_stream_queue_post_say(say->relay->out, say);
}

static void says_return(struct relayed *relayed)
{
	struct stream_say *say;

	while ((say = relayed->says)) {
		relayed->says = say->next;
		worker_stream_queue_post_say(relayed->relay->out, say);
	}
	relayed->last_say_at = &relayed->says;
}

/* Takes the stream out, but for telling of its end. */
static void relayed_detach(struct relayed *relayed)
{
	size_t unused_len = relayed->unused_len;

	relayed->stream = NULL;
	relayed->unused_len = 0;
	relay_discharge(relayed->relay, relayed->account, 0, unused_len);
	says_return(relayed);
}

static void relayed_release(struct relayed *relayed)
{
	struct stream_relay *relay = relayed->relay;
	struct relay_account *account = relayed->account;

	pool_release(&relay->streams, relayed);
	account->user_cnt--;
	account_settle(relay, account);
}

static pool_handle relayed_name(const struct relayed *relayed)
{
	return pool_handle_of(&relayed->relay->streams, relayed);
}

/* Paid for when it was opened. False: there is no room to say so. */
static bool relayed_tell_end(struct relayed *relayed)
{
	struct stream_relay *relay = relayed->relay;
	const struct stream_ended ended = {relayed_name(relayed), relayed->end.err,
					   relayed->end.code};
	const struct mailbox_message message = {
		.run = worker_inlet_ended, .bytes = &ended, .len = sizeof(ended)};

	if (!relay_tell(relay, relayed->account, &message))
		return false;
	relayed_release(relayed);
	return true;
}

static void relayed_end(struct relayed *relayed, const struct mesh_stream_end *end)
{
	struct stream_relay *relay = relayed->relay;

	relayed_detach(relayed);
	relayed->end = *end;
	if (!relayed_tell_end(relayed))
		relay->lost_cnt++;
}

static void refused_note(struct stream_relay *relay, const struct relay_account *account)
{
	const struct load_who who = {.key = account->key};

	relay->stats.refused_cnt++;
	load_refuse(relay->load, &who, "streams from workers to home", 0, relay->now_ns);
}

static void relayed_give_up(struct relayed *relayed, int err)
{
	refused_note(relayed->relay, relayed->account);
	relayed->relay->seam.ops->reset(relayed->stream, MESH_CODE_BUSY);
	relayed_end(relayed, &(struct mesh_stream_end){.err = err});
}

/* Posts a message about the stream, which is gone if there is no room. */
static void relayed_tell(struct relayed *relayed, const struct mailbox_message *message)
{
	struct stream_relay *relay = relayed->relay;

	if (!relay_has_room(relay, relayed->account, 1, message->tail_len)) {
		relayed_give_up(relayed, WEFT_EBUSY);
	} else if (!relay_tell(relay, relayed->account, message)) {
		relayed_give_up(relayed, WEFT_EFULL);
	} else {
		relay_charge(relay, relayed->account, 1, message->tail_len);
		relayed->unused_len += message->tail_len;
	}
}

static void on_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	struct relayed *relayed = arg;
	const struct stream_frame framed = {relayed_name(relayed), *frame};
	const struct mailbox_message message = {
		.run = worker_inlet_frame, .bytes = &framed, .len = sizeof(framed)};

	relayed->relay->now_ns = now_ns;
	relayed_tell(relayed, &message);
}

static void on_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct relayed *relayed = arg;
	const struct stream_event event = {relayed_name(relayed)};
	const struct mailbox_message message = {.run = worker_inlet_data,
						.bytes = &event,
						.len = sizeof(event),
						.tail = data,
						.tail_len = len};

	relayed->relay->now_ns = now_ns;
	relayed_tell(relayed, &message);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct relayed *relayed = arg;
	const struct stream_event event = {relayed_name(relayed)};
	const struct mailbox_message message = {
		.run = worker_inlet_finished, .bytes = &event, .len = sizeof(event)};

	relayed->relay->now_ns = now_ns;
	relayed_tell(relayed, &message);
}

/* Home's messages go out as far as there is room. */
static void relayed_push(struct relayed *relayed)
{
	const struct mesh_stream_ops *ops = relayed->relay->seam.ops;
	struct stream_say *say;

	while ((say = relayed->says)) {
		struct transport_span tail = say->tail;
		bool has_tail = tail.data;
		int err;

		tail.done = say_done;
		tail.arg = say;
		say->relay = relayed->relay;
		err = ops->send(relayed->stream, &say->frame, say->head, say->head_len,
				has_tail ? &tail : NULL);
		if (err == WEFT_EFULL)
			return;
		relayed->says = say->next;
		if (!relayed->says)
			relayed->last_say_at = &relayed->says;
		if (err < 0 || !has_tail)
			worker_stream_queue_post_say(relayed->relay->out, say);
	}
	if (relayed->is_finish_wanted)
		ops->finish(relayed->stream);
	relayed->is_finish_wanted = false;
}

static void on_writable(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	relayed_push(arg);
}

static void on_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	(void)now_ns;
	relayed_end(arg, end);
}

static const struct mesh_stream_events relayed_events = {
	.frame = on_frame,
	.data = on_data,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* A stream of peer that has been paid for, or NULL. */
static struct relayed *relayed_new(struct stream_relay *relay, const struct fair_path *path,
				   const struct mesh_stream_peer *peer)
{
	struct relay_account *account = account_open(relay, path, peer->key);
	struct relayed *relayed = NULL;
	bool has_room;

	if (!account)
		return NULL;
	has_room = relay_has_room(relay, account, MESSAGES_PER_STREAM, 0);
	if (has_room)
		relayed = pool_acquire(&relay->streams);
	else
		refused_note(relay, account);
	if (!relayed) {
		account_settle(relay, account);
		return NULL;
	}
	relayed->relay = relay;
	relayed->account = account;
	relayed->last_say_at = &relayed->says;
	account->user_cnt++;
	relay_charge(relay, account, MESSAGES_PER_STREAM, 0);
	return relayed;
}

static int relay_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
			struct mesh_stream_user *out_user)
{
	struct stream_relay *relay = ctx;
	struct stream_opened opened = {.type = type};
	const struct mailbox_message message = {
		.run = worker_inlet_opened, .bytes = &opened, .len = sizeof(opened)};
	struct relayed *relayed;
	int err = relay->seam.ops->peer(stream, &opened.peer);

	relay->now_ns = now_ns;
	if (err < 0)
		return err;
	relay->seam.ops->peer_path(stream, &opened.path);
	relayed = relayed_new(relay, &opened.path, &opened.peer);
	if (!relayed)
		return WEFT_EFULL;
	opened.stream = relayed_name(relayed);
	if (!relay_tell(relay, relayed->account, &message)) {
		relay_discharge(relay, relayed->account, MESSAGES_PER_STREAM, 0);
		relayed_release(relayed);
		return WEFT_EFULL;
	}
	relayed->stream = stream;
	*out_user = (struct mesh_stream_user){&relayed_events, relayed};
	return 0;
}

int worker_stream_relay_queues(struct stream_queue *in, int in_fd, struct stream_queue *out,
			       int out_fd)
{
	const struct stream_queue_params to_worker = {IN_CNT, IN_LEN, in_fd, worker_relay_say};
	const struct stream_queue_params to_home = {OUT_CNT, OUT_LEN, out_fd, worker_inlet_said};
	int err = worker_stream_queue_init(in, &to_worker);

	return err < 0 ? err : worker_stream_queue_init(out, &to_home);
}

static int accounts_init(struct stream_relay *relay, uint32_t stream_cap)
{
	uint32_t cap = ACCOUNTS_PER_STREAM * stream_cap;
	struct random random;
	uint64_t secret[2];
	int err;

	random_init_system(&random);
	random_fill(&random, secret, sizeof(secret));
	if ((err = pool_init(&relay->accounts, &relay->arena, sizeof(struct relay_account), cap)) <
		    0 ||
	    (err = map_init(&relay->accounts_by_id, &relay->arena, sizeof(uint64_t), cap, secret)) <
		    0)
		return err;
	relay->posted = arena_alloc(&relay->arena, POSTED_CAP * sizeof(struct relay_account *));
	return relay->posted ? 0 : WEFT_EFULL;
}

static int relay_lay_out(struct stream_relay *relay, uint32_t stream_cap)
{
	int err = arena_open(&relay->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&relay->streams, &relay->arena, sizeof(struct relayed), stream_cap);
	if (err == 0)
		err = accounts_init(relay, stream_cap);
	arena_fit(&relay->arena);
	return err;
}

size_t worker_stream_relay_footprint(uint32_t stream_cap)
{
	struct stream_relay relay = {0};
	size_t len = relay_lay_out(&relay, stream_cap) < 0 ? 0 : relay.arena.used_len;

	arena_close(&relay.arena);
	return len;
}

int worker_stream_relay_open(struct stream_relay *relay, struct mesh_stream_seam seam,
			     uint32_t stream_cap, struct stream_queue *in, struct stream_queue *out)
{
	/* All that has a handler or an acceptor at home alone. */
	static const unsigned types[] = {
		MESH_CALL,
		MESH_STREAM_OPEN,
		MESH_PEX_REQUEST,
		MESH_OBSERVED_ADDR,
		MESH_DIAL_BACK,
		MESH_SEND_PROBE,
		MESH_FIND_NODE,
		MESH_FIND_VALUE,
		MESH_STORE,
		MESH_LIST_SHARES,
		MESH_ASK_COMMUNITY,
		MESH_LIST_OWN_SHARES,
		MESH_LIST_MEMBERS,
		MESH_LIST_COMMUNITY_SHARES,
		MESH_SEARCH_COMMUNITY,
		MESH_ASK_EVENTS,
		MESH_SHOW_MEMBER,
	};
	int err;

	*relay = (struct stream_relay){.seam = seam,
				       .in = in,
				       .out = out,
				       .len_max = RELAY_LEN_MAX,
				       .messages_len_max = RELAY_MESSAGES_LEN_MAX};
	err = relay_lay_out(relay, stream_cap);
	for (unsigned i = 0; err == 0 && i < sizeof(types) / sizeof(types[0]); i++)
		err = seam.ops->accept(seam.mesh, types[i], relay_accept, relay);
	return err;
}

void worker_stream_relay_close(struct stream_relay *relay)
{
	struct relayed *relayed = NULL;

	if (!relay->out)
		return;
	while ((relayed = pool_next(&relay->streams, relayed)))
		says_return(relayed);
	arena_close(&relay->arena);
	*relay = (struct stream_relay){0};
}

/* --- what home sends (stream_inlet.c) --- */

void worker_relay_turn(void *object, const void *bytes, size_t bytes_len)
{
	const struct stream_turn *turn = bytes;
	struct stream_relay *relay = object;
	struct relayed *relayed = pool_lookup(&relay->streams, turn->stream);

	(void)bytes_len;
	if (!relayed || !relayed->stream)
		return;
	if (turn->is_reset) {
		relay->seam.ops->reset(relayed->stream, turn->code);
		relayed_detach(relayed);
		relay_discharge(relay, relayed->account, 1, 0); /* home knows of its end */
		relayed_release(relayed);
		return;
	}
	relayed->unused_len -= turn->consumed_len;
	relay_discharge(relay, relayed->account, 0, turn->consumed_len);
	if (turn->consumed_len)
		relay->seam.ops->consume(relayed->stream, turn->consumed_len);
	relayed->is_finish_wanted |= turn->is_finished;
	relayed_push(relayed);
}

void worker_relay_taken(void *object, const void *bytes, size_t len)
{
	const size_t *cnt = bytes;

	(void)len;
	relay_taken(object, *cnt);
}

void worker_relay_say(void *object, const void *bytes, size_t len)
{
	struct stream_say *say = *(struct stream_say *const *)bytes;
	struct stream_relay *relay = object;
	struct relayed *relayed = pool_lookup(&relay->streams, say->stream);

	(void)len;
	if (!relayed || !relayed->stream) {
		worker_stream_queue_post_say(relay->out, say);
		return;
	}
	say->next = NULL;
	*relayed->last_say_at = say;
	relayed->last_say_at = &say->next;
	relayed_push(relayed);
}

bool worker_stream_relay_read(struct stream_relay *relay)
{
	bool had_some = false;

	while (relay->in && mailbox_run(&relay->in->mailbox, (void *[]){relay}))
		had_some = true;
	return had_some;
}

static void relay_tell_lost(struct stream_relay *relay)
{
	struct relayed *relayed = NULL;

	while (relay->lost_cnt && (relayed = pool_next(&relay->streams, relayed))) {
		if (relayed->stream)
			continue;
		if (!relayed_tell_end(relayed))
			return;
		relay->lost_cnt--;
	}
}

bool worker_stream_relay_flush(struct stream_relay *relay)
{
	if (!relay->out)
		return false;
	relay_tell_lost(relay);
	return worker_stream_queue_flush(relay->out) || relay->lost_cnt;
}
