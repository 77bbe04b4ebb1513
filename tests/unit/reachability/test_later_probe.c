/* SPDX-License-Identifier: Apache-2.0 */
/* SEND_PROBE with a time: one probe, so much later, to the host that asks and to no other. */
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "base/monotonic.h"
#include "reachability/dial_back.h"
#include "reachability/reachability.h"
#include "support/check.h"

static struct {
	struct dgram_sink sink;
	uint8_t data[64];
	struct addr remote;
	unsigned cnt;
} sent;
static mesh_handler_fn on_send_probe;
static struct dial_backs all;
static struct timer_wheel timers;
static struct fair_paths paths;
static struct reachability_stats stats;
static struct dgram_sink *sink = &sent.sink;
static struct addr asker;
static unsigned answer_type; /* 0: an error */
static enum mesh_code code;
static uint64_t now_ns;

static bool sent_reserve(struct dgram_sink *of, size_t len, struct dgram_slot *out_slot)
{
	(void)of, (void)len;
	*out_slot = (struct dgram_slot){.data = sent.data, .cap = sizeof(sent.data)};
	return true;
}

static void sent_commit(struct dgram_sink *of, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	(void)of, (void)slot, (void)len;
	sent.remote = route->remote;
	sent.cnt++;
}

static const struct dgram_sink_ops sent_ops = {.reserve = sent_reserve, .commit = sent_commit};

static int op_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)mesh, (void)ctx;
	if (type == MESH_SEND_PROBE)
		on_send_probe = handler;
	return 0;
}

static int op_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		     size_t head_len, const struct transport_span *tail)
{
	(void)incoming, (void)head, (void)head_len, (void)tail;
	answer_type = type;
	return 0;
}

static void op_answer_error(struct mesh_incoming *incoming, enum mesh_code why, const char *text,
			    uint64_t not_before_ms)
{
	(void)incoming, (void)text, (void)not_before_ms;
	answer_type = 0;
	code = why;
}

static void op_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	(void)incoming;
	*out_addr = asker;
}

static const struct mesh_ops ops = {
	.handle = op_handle,
	.answer = op_answer,
	.answer_error = op_answer_error,
	.asker_addr = op_asker_addr,
};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void rig_open(void)
{
	memset(&all, 0, sizeof(all));
	memset(&stats, 0, sizeof(stats));
	all.sink = &sink;
	all.mesh.ops = &ops;
	all.timers = &timers;
	all.paths = &paths;
	all.stats = &stats;
	sent.sink.ops = &sent_ops;
	sent.cnt = 0;
	now_ns = 1000 * NS_PER_S;
	timer_wheel_init(&timers, now_ns);
	asker = addr_of("198.51.100.1:7000");
	if (reachability_dial_back_open(&all) < 0)
		abort();
}

static void ask(const char *addr, uint16_t after_s)
{
	struct path_send_probe message = {.addr = addr_of(addr), .after_s = after_s};
	uint8_t payload[PATH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_call call = {.type = MESH_SEND_PROBE, .payload = payload};

	reachability_send_probe_write(&w, &message);
	call.payload_len = writer_len(&w);
	on_send_probe(&all, &call, now_ns);
}

static void pass(uint64_t for_ns)
{
	now_ns += for_ns;
	timer_wheel_expire(&timers, now_ns);
}

static void test_a_later_probe_is_sent_when_its_time_has_come(void)
{
	rig_open();
	ask("198.51.100.1:4711", 120);
	CHECK_EQ(answer_type, MESH_PROBE_SENT);
	pass(120 * NS_PER_S - NS_PER_MS);
	CHECK_EQ(sent.cnt, 0);
	pass(2 * NS_PER_MS);
	CHECK_EQ(sent.cnt, 1);
	CHECK_EQ(sent.remote.port, 4711);
	pass(300 * NS_PER_S);
	CHECK_EQ(sent.cnt, 1);
	reachability_dial_back_stop(&all);
}

static void test_a_time_of_121_seconds_is_malformed(void)
{
	rig_open();
	ask("198.51.100.1:4711", PATH_AFTER_S_MAX + 1);
	CHECK_EQ(answer_type, 0);
	CHECK_EQ(code, MESH_CODE_MALFORMED);
	reachability_dial_back_stop(&all);
}

static void test_no_later_probe_goes_to_a_third_party(void)
{
	rig_open();
	ask("198.51.100.2:7000", 10);
	CHECK_EQ(answer_type, 0);
	CHECK_EQ(code, MESH_CODE_ABSENT);
	pass(60 * NS_PER_S);
	CHECK_EQ(sent.cnt, 0);
	reachability_dial_back_stop(&all);
}

/* The budget of all probes is paid when one is asked for, so never more wait than there is room for. */
static void test_probes_that_wait_are_bounded_by_the_budget(void)
{
	unsigned agreed_cnt = 0;

	rig_open();
	for (unsigned i = 0; i < 200; i++) {
		char text[ADDR_TEXT_CAP];

		snprintf(text, sizeof(text), "198.51.%u.1:7000", i);
		asker = addr_of(text);
		ask(text, 120);
		agreed_cnt += answer_type == MESH_PROBE_SENT;
	}
	CHECK_EQ(agreed_cnt, DIAL_BACK_PER_MIN);
	asker = addr_of("198.51.100.1:7000");
	pass(61 * NS_PER_S);
	agreed_cnt = 0;
	for (unsigned i = 0; i < DIAL_BACK_NETWORK_MIN + 1; i++) {
		ask("198.51.100.1:7000", 120);
		agreed_cnt += answer_type == MESH_PROBE_SENT;
	}
	CHECK_EQ(agreed_cnt, DIAL_BACK_NETWORK_MIN);
	pass(121 * NS_PER_S);
	CHECK_EQ(sent.cnt, DIAL_BACK_PER_MIN + DIAL_BACK_NETWORK_MIN);
	reachability_dial_back_stop(&all);
}

static void test_a_stop_forgets_probes_that_wait(void)
{
	rig_open();
	ask("198.51.100.1:4711", 10);
	reachability_dial_back_stop(&all);
	pass(60 * NS_PER_S);
	CHECK_EQ(sent.cnt, 0);
}

int main(void)
{
	RUN(test_a_later_probe_is_sent_when_its_time_has_come);
	RUN(test_a_time_of_121_seconds_is_malformed);
	RUN(test_no_later_probe_goes_to_a_third_party);
	RUN(test_probes_that_wait_are_bounded_by_the_budget);
	RUN(test_a_stop_forgets_probes_that_wait);
	return check_done();
}
