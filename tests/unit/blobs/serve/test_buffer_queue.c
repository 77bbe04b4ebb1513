/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer whose turn it is at the buffers that chunks and manifests pass through, under a virtual
 * clock.
 */
#include "serve_rig.h"

#include "blobs/serve/buffer_queue.h"

#define BUFFER_CNT 8
#define ASKER_CAP  160
#define FOREVER_NS (55 * NS_PER_S) /* less than the patience of an asker */

/* A question for a part of the chunk list: its own, unless it is to be another's, too. */
struct asker {
	struct mesh_request *request; /* NULL: answered, or not asked yet */
	uint8_t buf[4096];
	int err;
	enum mesh_code code;
	uint64_t not_before_ns;
	unsigned network, key;
	unsigned done_cnt, refused_cnt;
	bool asks_on; /* when it was answered or refused */
};

static struct asker askers[ASKER_CAP];
static unsigned list_cnt; /* what is asked next: a list of so many hashes, of a name of its own */
static uint64_t delays_ns[8]; /* until an answer is acknowledged, by network */
static unsigned done_cnts[8]; /* by network */

static void asker_ask(struct asker *asker);

static void asker_told(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct asker *asker = arg;

	(void)now_ns;
	asker->request = NULL;
	asker->err = reply->err;
	asker->code = reply->code;
	asker->not_before_ns = reply->not_before_ns;
	asker->done_cnt += reply->err == 0;
	asker->refused_cnt += reply->err != 0;
	done_cnts[asker->network] += reply->err == 0;
	if (asker->asks_on)
		asker_ask(asker);
}

static void asker_ask_list(struct asker *asker, unsigned type, unsigned cnt)
{
	struct message_request request = {.cnt = cnt};
	uint8_t payload[MESSAGE_REQUEST_CAP];
	struct mesh_ask ask = {
		.type = type,
		.payload = payload,
		.reply_buf = asker->buf,
		.reply_cap = sizeof(asker->buf),
		.timeout_ns = 60 * NS_PER_S,
		.reply = asker_told,
		.arg = asker,
	};
	struct duo_node *b = &duo.nodes[DUO_B];

	memcpy(request.id, type == MESH_GET_MANIFEST ? shared.manifest_id : big_id,
	       sizeof(request.id));
	ask.payload_len = blobs_message_request_write(type, &request, payload);
	b->key[1] = (uint8_t)asker->key;
	b->key[2] = (uint8_t)asker->network;
	b->addr = (struct addr){.ip = {192, 0, (uint8_t)asker->network, (uint8_t)(1 + asker->key)},
				.port = 7000,
				.family = ADDR_IPV4};
	/* The hook is told by it whose answer it is. */
	ask.peer.key[0] = (uint8_t)asker->network;
	CHECK_EQ(duo_ops()->ask(&b->mesh, &ask, duo.now_ns, &asker->request), 0);
}

static void asker_ask(struct asker *asker)
{
	list_cnt = list_cnt % MESSAGE_HASHES_MAX + 1;
	asker_ask_list(asker, MESH_GET_CHUNK_HASHES, list_cnt);
}

static void asker_leave(struct asker *asker)
{
	if (asker->request)
		duo_ops()->cancel(asker->request);
	asker->request = NULL;
}

static void answer_delay(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->delay_ns = answer->err ? 0 : delays_ns[answer->asked_key[0]];
}

static bool queue_begin(void)
{
	bool is_shared = duo_begin();

	duo_node_close(&duo, DUO_A);
	duo.nodes[DUO_A].config.chunk_buffer_cnt = BUFFER_CNT;
	duo_node_open(&duo, DUO_A);
	duo.on_answer = answer_delay;
	memset(askers, 0, sizeof(askers));
	memset(delays_ns, 0, sizeof(delays_ns));
	memset(done_cnts, 0, sizeof(done_cnts));
	list_cnt = 0;
	return is_shared;
}

/* From first on, cnt askers of network, of key_cnt keys in turn, that ask and ask again. */
static void askers_begin(unsigned first, unsigned cnt, unsigned network, unsigned key_cnt)
{
	for (unsigned i = first; i < first + cnt; i++) {
		askers[i] = (struct asker){.network = network, .key = i % key_cnt, .asks_on = true};
		asker_ask(&askers[i]);
	}
}

static void askers_end(void)
{
	for (unsigned i = 0; i < ASKER_CAP; i++)
		askers[i].asks_on = false;
	duo_pass(&duo, 60 * NS_PER_S);
}

static const struct fair_view *view_of(enum blobs_pool pool)
{
	static struct blobs_stats stats;

	blobs_stats(duo.nodes[DUO_A].content, &stats);
	return &stats.pools[pool];
}

static uint32_t used_cnt(void)
{
	struct blobs_stats stats;

	blobs_stats(duo.nodes[DUO_A].content, &stats);
	return stats.chunk_buffer_used_cnt;
}

static bool within_tenth(unsigned a, unsigned b)
{
	return a * 10 <= b * 11 && b * 10 <= a * 11;
}

static void test_five_keys_of_a_network_are_served_as_one_of_another(void)
{
	CHECK(queue_begin());
	delays_ns[1] = delays_ns[2] = 50 * NS_PER_MS;
	askers_begin(0, 40, 1, 5);
	askers_begin(40, 16, 2, 1);
	duo_pass(&duo, 20 * NS_PER_S);
	printf("# served: 5 keys of a network %u, 1 key of another %u\n", done_cnts[1],
	       done_cnts[2]);
	CHECK(done_cnts[2] > 1000);
	CHECK(within_tenth(done_cnts[1], done_cnts[2]));
	askers_end();
	duo_fini(&duo);
}

static void test_three_networks_share_evenly_whatever_they_ask(void)
{
	CHECK(queue_begin());
	delays_ns[1] = delays_ns[2] = delays_ns[3] = 50 * NS_PER_MS;
	askers_begin(0, 60, 1, 20);
	askers_begin(60, 10, 2, 2);
	askers_begin(70, 4, 3, 1);
	duo_pass(&duo, 20 * NS_PER_S);
	printf("# served: %u, %u, %u\n", done_cnts[1], done_cnts[2], done_cnts[3]);
	CHECK(within_tenth(done_cnts[1], done_cnts[2]));
	CHECK(within_tenth(done_cnts[2], done_cnts[3]));
	askers_end();
	duo_fini(&duo);
}

/* As asker_ask_list makes keys: of network 1 is a customer that counts as three. */
static void choose(const uint8_t *key, struct fair_path *path)
{
	path->class = FAIR_CHOSEN;
	path->share_cnt = key[2] == 1 ? 3 : 0;
}

static void test_a_peer_that_counts_as_three_is_served_as_three(void)
{
	CHECK(queue_begin());
	duo.on_path = choose;
	delays_ns[1] = delays_ns[2] = 50 * NS_PER_MS;
	askers_begin(0, 40, 1, 1);
	askers_begin(40, 40, 2, 1);
	duo_pass(&duo, 20 * NS_PER_S);
	printf("# served: %u as three, %u as one\n", done_cnts[1], done_cnts[2]);
	CHECK(done_cnts[2] > 500);
	CHECK(within_tenth(done_cnts[1], 3 * done_cnts[2]));
	askers_end();
	duo_fini(&duo);
}

/* Unacknowledged bytes are not taken back here: honest askers have what is left. */
static void test_keys_that_never_read_leave_buffers_to_others(void)
{
	CHECK(queue_begin());
	delays_ns[1] = FOREVER_NS;
	delays_ns[2] = delays_ns[3] = 50 * NS_PER_MS;
	askers_begin(0, 40, 1, 5);
	duo_pass(&duo, NS_PER_S);
	askers_begin(40, 1, 2, 1);
	askers_begin(41, 1, 3, 1);
	duo_pass(&duo, 10 * NS_PER_S);
	printf("# served: %u, %u beside keys that never read\n", done_cnts[2], done_cnts[3]);
	CHECK_EQ(askers[40].refused_cnt + askers[41].refused_cnt, 0);
	CHECK(done_cnts[2] > 50 && done_cnts[3] > 50);
	CHECK(within_tenth(done_cnts[2], done_cnts[3]));
	askers_end();
	duo_fini(&duo);
}

/* One that reads slowly holds no more of its network's part than the others of it. */
static void test_a_slow_key_leaves_its_network_its_part(void)
{
	CHECK(queue_begin());
	delays_ns[1] = FOREVER_NS;
	askers_begin(0, 20, 1, 1);
	duo_pass(&duo, NS_PER_S);
	delays_ns[1] = 50 * NS_PER_MS;
	for (unsigned i = 20; i < 24; i++) {
		askers[i] = (struct asker){.network = 1, .key = 9, .asks_on = true};
		asker_ask(&askers[i]);
	}
	duo_pass(&duo, 10 * NS_PER_S);
	CHECK(askers[20].done_cnt + askers[21].done_cnt + askers[22].done_cnt +
		      askers[23].done_cnt >
	      100);
	askers_end();
	duo_fini(&duo);
}

/* All buffers are lent for good: askers of networks of their own, as many as it takes. */
static unsigned buffers_take(void)
{
	unsigned cnt = 0;

	delays_ns[1] = FOREVER_NS;
	while (cnt < 32 && used_cnt() < BUFFER_CNT - 1) {
		askers[cnt].network = 1;
		askers[cnt].key = cnt;
		asker_ask(&askers[cnt]);
		cnt++;
		duo_pass(&duo, 10 * NS_PER_MS);
	}
	return cnt;
}

static void test_one_more_than_may_wait_is_refused_or_takes_from_the_largest(void)
{
	const struct fair_view *view;
	unsigned first;

	CHECK(queue_begin());
	first = buffers_take();
	/* A waiter now waits until it is refused, or another takes its place. */
	while (view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt < BUFFER_QUEUE_CAP) {
		CHECK(first < ASKER_CAP - 2);
		askers[first].network = 4;
		asker_ask(&askers[first++]);
		duo_pass(&duo, NS_PER_MS);
	}
	askers[first].network = 4;
	asker_ask(&askers[first]);
	duo_pass(&duo, NS_PER_MS);
	CHECK_EQ(askers[first].code, MESH_CODE_BUSY);
	CHECK(askers[first].not_before_ns > 0);
	CHECK_STR(duo.refused_pool, "calls waiting for chunk buffers");
	view = view_of(BLOBS_POOL_CHUNKS_WAITING);
	CHECK_EQ(view->held_cnt, BUFFER_QUEUE_CAP);
	CHECK_EQ(view->cap_cnt, BUFFER_QUEUE_CAP);
	CHECK_EQ(view->refused_cnts[FAIR_UNKNOWN], 1);
	CHECK_EQ(view->evicted_cnts[FAIR_UNKNOWN], 0);
	/* The youngest of the network that has most makes room for another network's. */
	askers[first + 1].network = 1;
	askers[first + 1].key = 77;
	asker_ask(&askers[first + 1]);
	duo_pass(&duo, NS_PER_MS);
	view = view_of(BLOBS_POOL_CHUNKS_WAITING);
	CHECK_EQ(view->held_cnt, BUFFER_QUEUE_CAP);
	CHECK_EQ(view->evicted_cnts[FAIR_UNKNOWN], 1);
	CHECK_EQ(askers[first - 1].code, MESH_CODE_BUSY);
	CHECK(askers[first + 1].request != NULL);
	askers_end();
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt, 0);
	CHECK_EQ(used_cnt(), 0);
	duo_fini(&duo);
}

static void test_a_peer_that_waits_too_long_learns_when_to_retry(void)
{
	uint64_t asked_ns;
	unsigned first;

	CHECK(queue_begin());
	first = buffers_take();
	asked_ns = duo.now_ns;
	askers[first].network = 1;
	asker_ask(&askers[first]);
	duo_pass(&duo, BUFFER_QUEUE_WAIT_NS - 100 * NS_PER_MS);
	CHECK(askers[first].request != NULL);
	duo_pass(&duo, 200 * NS_PER_MS);
	CHECK_EQ(askers[first].code, MESH_CODE_BUSY);
	CHECK(askers[first].not_before_ns > asked_ns + BUFFER_QUEUE_WAIT_NS);
	CHECK_STR(duo.refused_pool, "calls with chunk buffers");
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->overdue_cnt, 1);
	askers_end();
	duo_fini(&duo);
}

static void test_an_asker_that_leaves_gives_up_its_turn(void)
{
	unsigned first;

	CHECK(queue_begin());
	first = buffers_take();
	for (unsigned i = 0; i < 2; i++) {
		askers[first + i].network = 1;
		askers[first + i].key = 90 + i;
		asker_ask(&askers[first + i]);
	}
	duo_pass(&duo, 10 * NS_PER_MS);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt, 2);
	asker_leave(&askers[first]);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt, 1);
	/* A peer's session ends with all that it holds: the other one has its turn at once. */
	for (unsigned i = 0; i < 4; i++)
		asker_leave(&askers[i]);
	delays_ns[1] = 0;
	duo_pass(&duo, 100 * NS_PER_MS);
	CHECK_EQ(askers[first + 1].done_cnt, 1);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt, 0);
	for (unsigned i = 4; i < first; i++)
		asker_leave(&askers[i]);
	askers_end();
	CHECK_EQ(used_cnt(), 0);
	duo_fini(&duo);
}

static void test_all_waiters_of_one_answer_share_its_buffer(void)
{
	enum { SAME_CNT = 20 };
	unsigned first;

	CHECK(queue_begin());
	first = buffers_take();
	for (unsigned i = first; i < first + SAME_CNT; i++) {
		askers[i].network = 2 + i % 4;
		askers[i].key = i;
		delays_ns[askers[i].network] = FOREVER_NS;
		asker_ask_list(&askers[i], MESH_GET_CHUNK_HASHES, 5000);
	}
	duo_pass(&duo, 10 * NS_PER_MS);
	CHECK(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt > 0);
	for (unsigned i = 0; i < 2; i++)
		asker_leave(&askers[i]);
	duo_pass(&duo, 100 * NS_PER_MS);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt, 0);
	CHECK_EQ(used_cnt(), BUFFER_CNT - 2);
	/* It is charged to one of them, and to another when that one is done. */
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS)->held_cnt, BUFFER_CNT - 2);
	asker_leave(&askers[first]);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS)->held_cnt, BUFFER_CNT - 2);
	for (unsigned i = 2; i < first + SAME_CNT; i++)
		asker_leave(&askers[i]);
	CHECK_EQ(used_cnt(), 0);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS)->held_cnt, 0);
	duo_fini(&duo);
}

/* Bytes that lie in buffers from before are no way past the others. */
static void test_a_buffer_that_is_filled_is_taken_as_any_other(void)
{
	CHECK(queue_begin());
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < BUFFER_CNT; i++) {
			askers[i].network = 1;
			asker_ask_list(&askers[i], MESH_GET_CHUNK_HASHES, 100 + i);
			if (round == 0)
				duo_pass(&duo, NS_PER_S);
		}
		delays_ns[1] = FOREVER_NS;
	}
	duo_pass(&duo, NS_PER_S);
	CHECK_EQ(used_cnt(), 4);
	CHECK_EQ(view_of(BLOBS_POOL_CHUNKS_WAITING)->held_cnt, 4);
	askers_end();
	duo_fini(&duo);
}

static void test_what_waits_is_refused_when_the_node_ends(void)
{
	unsigned first;

	CHECK(queue_begin());
	first = buffers_take();
	askers[first].network = 1;
	asker_ask(&askers[first]);
	duo_pass(&duo, 10 * NS_PER_MS);
	CHECK(askers[first].request != NULL);
	duo_node_close(&duo, DUO_A);
	duo_pass(&duo, NS_PER_S);
	CHECK_EQ(askers[first].code, MESH_CODE_BUSY);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_five_keys_of_a_network_are_served_as_one_of_another);
	RUN(test_three_networks_share_evenly_whatever_they_ask);
	RUN(test_a_peer_that_counts_as_three_is_served_as_three);
	RUN(test_keys_that_never_read_leave_buffers_to_others);
	RUN(test_a_slow_key_leaves_its_network_its_part);
	RUN(test_one_more_than_may_wait_is_refused_or_takes_from_the_largest);
	RUN(test_a_peer_that_waits_too_long_learns_when_to_retry);
	RUN(test_an_asker_that_leaves_gives_up_its_turn);
	RUN(test_all_waiters_of_one_answer_share_its_buffer);
	RUN(test_a_buffer_that_is_filled_is_taken_as_any_other);
	RUN(test_what_waits_is_refused_when_the_node_ends);
	return check_done();
}
