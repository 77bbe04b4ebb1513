/* SPDX-License-Identifier: Apache-2.0 */
/* How many messages a relay takes, of a peer and in all. */
#include "relay/messages/relay_messages.h"

#include <string.h>

#include "base/fair/fair_path.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "support/check.h"

#define PER_S 2000u

static struct relay_messages *messages;
static struct random dice;
static uint64_t now_ns;
static uint32_t score;
static unsigned refused_cnt;
static enum mesh_code code;
static uint64_t wait_ms;

/* A peer: its key, and where it is. */
struct mesh_incoming {
	uint8_t key[MESH_KEY_LEN];
	struct addr addr;
	enum fair_class class;
};

static void on_error(struct mesh_incoming *incoming, enum mesh_code error, const char *text,
		     uint64_t not_before_ms)
{
	(void)incoming, (void)text;
	code = error;
	wait_ms = not_before_ms;
}

static void on_refused(const struct mesh_incoming *incoming, const char *pool, uint32_t ms)
{
	(void)incoming;
	CHECK_STR(pool, "relay messages");
	CHECK(ms > 0);
	refused_cnt++;
}

static void on_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	static const struct fair_paths paths = {.secret = {1, 2}};

	fair_path_of_addr(&paths, &incoming->addr, incoming->class, out_path);
	fair_path_add(&paths, out_path, incoming->key, sizeof(incoming->key));
}

static uint32_t on_score(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return score;
}

static void begin(uint32_t per_s)
{
	static const struct mesh_ops ops = {
		.answer_error = on_error, .note_refused = on_refused, .asker_path = on_path};
	const struct relay_messages_params params = {
		.config.per_s = per_s, .mesh.ops = &ops, .score = on_score, .random = &dice};

	random_init_seeded(&dice, 7);
	now_ns = 1000 * NS_PER_S;
	score = 0;
	refused_cnt = 0;
	if (relay_messages_new(&params, &messages) < 0)
		abort();
}

static void end(void)
{
	relay_messages_free(messages);
	messages = NULL;
}

static struct mesh_incoming peer_at(unsigned network, unsigned number)
{
	struct mesh_incoming peer = {.addr = {.family = ADDR_IPV4, .port = 7000}};

	peer.addr.ip[0] = 10;
	peer.addr.ip[1] = (uint8_t)(network >> 8);
	peer.addr.ip[2] = (uint8_t)network;
	peer.addr.ip[3] = (uint8_t)(number % 250);
	memcpy(peer.key, &number, sizeof(number));
	memcpy(peer.key + 8, &network, sizeof(network));
	return peer;
}

static bool ask(struct mesh_incoming *peer)
{
	const struct mesh_call call = {.incoming = peer, .peer_key = peer->key};

	return relay_messages_admit(messages, &call, now_ns);
}

/* Asked each millisecond for so long; how many were taken. */
static unsigned taken_in(struct mesh_incoming *peer, unsigned s)
{
	unsigned cnt = 0;

	for (unsigned ms = 0; ms < s * 1000; ms++, now_ns += NS_PER_MS)
		cnt += ask(peer);
	return cnt;
}

/* E28: 10 + 40 s / (s + 10). */
static void test_rates_follow_contribution(void)
{
	static const struct {
		uint32_t score, rate, burst, per_100_s;
	} rows[] = {
		{0, 10000, 20, 1000},
		{10000, 30000, 60, 3000},
		{100000, 46363, 92, 4636},
		{1000000000, 49999, 99, 4999},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_incoming peer = peer_at(1, i);
		unsigned cnt = 0;

		begin(PER_S);
		score = rows[i].score;
		CHECK_EQ(relay_messages_rate(score), rows[i].rate);
		/* All at once: twice the rate, and not one more. */
		while (cnt < 1000 && ask(&peer))
			cnt++;
		CHECK_EQ(cnt, rows[i].burst);
		CHECK_EQ(refused_cnt, 1);
		CHECK_EQ(code, MESH_CODE_REFUSED);
		cnt = taken_in(&peer, 100);
		CHECK(cnt + 1 >= rows[i].per_100_s && cnt <= rows[i].per_100_s + 1);
		printf("# score %g: %.1f messages a second\n", score / 1000.0, cnt / 100.0);
		end();
	}
}

static void test_a_refused_peer_is_taken_after_its_wait(void)
{
	struct mesh_incoming peer = peer_at(1, 1);

	begin(PER_S);
	while (ask(&peer))
		;
	CHECK(wait_ms > 0 && wait_ms <= 101);
	now_ns += (wait_ms - 2) * NS_PER_MS;
	CHECK(!ask(&peer));
	now_ns += 2 * NS_PER_MS;
	CHECK(ask(&peer));
	CHECK(!ask(&peer));
	end();
}

static void test_a_silence_brings_the_burst_back_and_no_more(void)
{
	struct mesh_incoming peer = peer_at(1, 1);
	struct relay_messages_stats stats;
	unsigned cnt = 0;

	begin(PER_S);
	while (ask(&peer))
		;
	now_ns += 1999 * NS_PER_MS;
	relay_messages_stats(messages, &stats);
	CHECK_EQ(stats.peer_now, 1);
	now_ns += 3600 * NS_PER_S;
	while (ask(&peer))
		cnt++;
	CHECK_EQ(cnt, 20);
	relay_messages_stats(messages, &stats);
	CHECK_EQ(stats.admitted_cnt, 40);
	CHECK_EQ(stats.over_rate_cnt, 2);
	CHECK_EQ(stats.over_pool_cnt, 0);
	CHECK_EQ(stats.peer_now, 1);
	end();
}

/* Keys are free: those of one network get a part, and a newcomer elsewhere is taken at once. */
static void test_many_keys_of_a_network_leave_room_for_others(void)
{
	struct mesh_incoming honest = peer_at(2, 1);
	struct relay_messages_stats stats;
	struct fair_view view;

	begin(64);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 5000; i++) {
			struct mesh_incoming one = peer_at(1, i);

			(void)ask(&one);
		}
	relay_messages_stats(messages, &stats);
	CHECK(stats.over_pool_cnt > 10000);
	CHECK_EQ(code, MESH_CODE_BUSY);
	CHECK(wait_ms > 0 && wait_ms <= 30000);
	relay_messages_view(messages, now_ns, &view);
	CHECK_EQ(view.cap_cnt, 128);
	CHECK(view.held_cnt < 128);
	for (unsigned i = 0; i < 5; i++)
		CHECK(ask(&honest));
	now_ns += RELAY_MESSAGES_BURST_NS;
	relay_messages_view(messages, now_ns, &view);
	CHECK_EQ(view.held_cnt, 0);
	CHECK_EQ(view.refused_cnts[FAIR_UNKNOWN], stats.over_pool_cnt);
	end();
}

/* As many networks as there are slots: what is left is for the chosen. */
static void test_a_chosen_peer_is_taken_when_the_pool_is_nearly_full(void)
{
	struct mesh_incoming chosen = peer_at(9999, 1);
	struct fair_view view;
	unsigned cnt = 0;

	begin(64);
	for (unsigned i = 0; i < 4000; i++) {
		struct mesh_incoming one = peer_at(i, i);

		(void)ask(&one);
	}
	relay_messages_view(messages, now_ns, &view);
	chosen.class = FAIR_CHOSEN;
	while (ask(&chosen))
		cnt++;
	CHECK(view.held_cnt <= view.cap_cnt);
	CHECK_EQ(cnt, view.cap_cnt - view.held_cnt < 20 ? view.cap_cnt - view.held_cnt : 20);
	printf("# %u of %u slots taken by strangers' networks\n", view.held_cnt, view.cap_cnt);
	end();
}

static void test_a_node_without_a_limit_takes_all(void)
{
	struct mesh_incoming peer = peer_at(1, 1);
	struct relay_messages_config config;

	for (unsigned i = 0; i < 1000; i++)
		CHECK(ask(&peer));
	relay_messages_config_defaults(&config);
	CHECK(relay_messages_footprint(&config) > 4000 * sizeof(struct fair_item));
}

int main(void)
{
	RUN(test_rates_follow_contribution);
	RUN(test_a_refused_peer_is_taken_after_its_wait);
	RUN(test_a_silence_brings_the_burst_back_and_no_more);
	RUN(test_many_keys_of_a_network_leave_room_for_others);
	RUN(test_a_chosen_peer_is_taken_when_the_pool_is_nearly_full);
	RUN(test_a_node_without_a_limit_takes_all);
	return check_done();
}
