/* SPDX-License-Identifier: Apache-2.0 */
#include "reachability/reachability.h"

#include "base/dgram.h"
#include "base/random.h"
#include "base/timer.h"
#include "codec/stun.h"
#include "support/check.h"

/* A sink that keeps the last datagram, and is full when it is told to be. */
static struct {
	struct dgram_sink sink;
	uint8_t data[1500];
	size_t len;
	struct dgram_route route;
	unsigned cnt;
	bool is_full;
} sent;

static bool sent_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	(void)sink;
	if (sent.is_full || len > sizeof(sent.data))
		return false;
	*out_slot = (struct dgram_slot){.data = sent.data, .cap = sizeof(sent.data)};
	return true;
}

static void sent_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	(void)sink, (void)slot;
	sent.len = len;
	sent.route = *route;
	sent.cnt++;
}

static const struct dgram_sink_ops sent_ops = {.reserve = sent_reserve, .commit = sent_commit};
static struct reachability *reachability;

static void input_from(const char *remote, uint8_t *data, size_t len)
{
	struct dgram dgram = {.data = data, .len = len};

	if (addr_parse("192.0.2.1:7000", &dgram.local) < 0 || addr_parse(remote, &dgram.remote) < 0)
		abort();
	dgram.judged.flow = weft_classify(data, (__u32)len);
	sent.cnt = 0;
	reachability_input(reachability, &dgram, 1);
}

static void input(uint8_t *data, size_t len)
{
	input_from("198.51.100.7:4000", data, len);
}

static int handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)mesh, (void)type, (void)handler, (void)ctx;
	return 0;
}

static unsigned own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	(void)ctx, (void)addrs;
	return 0;
}

static void reachability_begin(void)
{
	static const struct mesh_ops ops = {.handle = handle};
	static struct timer_wheel timers;
	static struct random rng;
	struct reachability_params params = {.sink = &sent.sink,
					     .timers = &timers,
					     .random = &rng,
					     .mesh = {.ops = &ops},
					     .own_addrs = own_addrs};

	sent.sink.ops = &sent_ops;
	sent.is_full = false;
	timer_wheel_init(&timers, 0);
	random_init_seeded(&rng, 1);
	if (reachability_new(&params, &reachability) < 0)
		abort();
}

static void test_a_request_is_answered_with_its_source(void)
{
	uint8_t request[STUN_WRITE_CAP];
	struct stun_message answer;
	struct addr asker;
	size_t len = stun_write_request((const uint8_t *)"transaction.", request);

	reachability_begin();
	input(request, len);
	CHECK_EQ(sent.cnt, 1);
	CHECK_EQ(sent.len, 32);
	CHECK_EQ(stun_read(sent.data, sent.len, &answer), 0);
	CHECK_EQ(addr_parse("198.51.100.7:4000", &asker), 0);
	CHECK(addr_equal(&answer.mapped, &asker));
	CHECK(addr_equal(&sent.route.remote, &asker));
	CHECK_EQ(sent.route.local.port, 7000);
	CHECK_EQ(reachability_stats(reachability)->stun_answered_cnt, 1);
	reachability_free(reachability);
}

static void test_an_unknown_attribute_is_refused_by_name(void)
{
	uint8_t request[STUN_WRITE_CAP];
	struct stun_message answer;
	size_t len = stun_write_request((const uint8_t *)"transaction.", request);

	reachability_begin();
	memcpy(request + len, "\0\3\0\4\0\0\0\6", 8);
	request[3] = 8;
	input(request, len + 8);
	CHECK_EQ(stun_read(sent.data, sent.len, &answer), 0);
	CHECK_EQ(answer.error, STUN_ERROR_UNKNOWN_ATTRIBUTE);
	CHECK_EQ(reachability_stats(reachability)->stun_refused_cnt, 1);
	reachability_free(reachability);
}

/* Two nodes that answered each other's answers would never end. */
static void test_only_a_request_is_answered(void)
{
	static const char heads[][3] = {"\1\1", "\1\x11", "\0\x11", "\0\3"};
	uint8_t message[STUN_WRITE_CAP];
	size_t len = stun_write_request((const uint8_t *)"transaction.", message);

	reachability_begin();
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		memcpy(message, heads[i], 2);
		input(message, len);
		CHECK_EQ(sent.cnt, 0);
	}
	CHECK_EQ(reachability_stats(reachability)->stun_stray_cnt, 3);
	CHECK_EQ(reachability_stats(reachability)->stun_malformed_cnt, 1);
	reachability_free(reachability);
}

/* Its answer would go into this node's own network. */
static void test_a_private_address_from_outside_is_not_answered(void)
{
	uint8_t request[STUN_WRITE_CAP];
	size_t len = stun_write_request((const uint8_t *)"transaction.", request);

	reachability_begin();
	input_from("10.0.0.7:4000", request, len);
	CHECK_EQ(sent.cnt, 0);
	CHECK_EQ(reachability_stats(reachability)->stun_martian_cnt, 1);
	reachability_free(reachability);
}

static void test_a_full_sender_is_counted(void)
{
	uint8_t request[STUN_WRITE_CAP];
	size_t len = stun_write_request((const uint8_t *)"transaction.", request);

	reachability_begin();
	sent.is_full = true;
	input(request, len);
	CHECK_EQ(sent.cnt, 0);
	CHECK_EQ(reachability_stats(reachability)->full_cnt, 1);
	reachability_free(reachability);
}

int main(void)
{
	RUN(test_a_request_is_answered_with_its_source);
	RUN(test_an_unknown_attribute_is_refused_by_name);
	RUN(test_only_a_request_is_answered);
	RUN(test_a_private_address_from_outside_is_not_answered);
	RUN(test_a_full_sender_is_counted);
	return check_done();
}
