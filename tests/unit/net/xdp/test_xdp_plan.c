/* SPDX-License-Identifier: Apache-2.0 */
/* What attaching to a device would do, for devices of every kind. */
#include "net/xdp/umem.h"
#include "net/udp/udp_frame.h"
#include "net/xdp/xdp_state.h"
#include "support/check.h"

#define ROOM_MIN (UMEM_FRAME_LEN_MIN - XDP_FRAME_HEADROOM - LINK_HEADER_LEN_MAX)
#define ROOM_MAX (UMEM_FRAME_LEN_MAX - XDP_FRAME_HEADROOM - LINK_HEADER_LEN_MAX)

static struct xdp_config config;
static struct netdev netdev;

/* A plain device that is up; no kernel has it, so its driver says nothing of what it can. */
static void begin(void)
{
	net_xdp_config_defaults(&config);
	netdev = (struct netdev){.name = "none7",
				 .driver = "virtio_net",
				 .ifindex = 0x7ffffff0,
				 .mtu = 1500,
				 .rx_queue_cnt = 1,
				 .is_up = true,
				 .is_running = true,
				 .is_ethernet = true};
}

static struct xdp_plan plan_of(void)
{
	struct xdp_plan plan;

	net_xdp_plan_of(&config, &netdev, &plan);
	return plan;
}

/* How many warnings contain text. */
static unsigned warned(const struct xdp_plan *plan, const char *text)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < plan->warning_cnt; i++)
		cnt += strstr(plan->warnings[i], text) != NULL;
	return cnt;
}

static void test_plain_device_is_possible_and_warns_of_nothing(void)
{
	struct xdp_plan plan;

	begin();
	plan = plan_of();
	CHECK(plan.is_possible);
	CHECK_STR(plan.why, "");
	CHECK_EQ(plan.warning_cnt, 0);
	CHECK_STR(plan.name, "none7");
	CHECK_STR(plan.driver, "virtio_net");
	CHECK_EQ(plan.mode, XDP_NATIVE);
	CHECK(!plan.is_mode_certain);
	CHECK(!plan.may_zero_copy && !plan.may_send);
	CHECK_EQ(plan.mtu, 1500);
	CHECK_EQ(plan.queue_cnt, 1);
	CHECK_EQ(plan.served_cnt, 1);
	CHECK_EQ(plan.frame_len, UMEM_FRAME_LEN_MIN);
	CHECK(plan.tables_len > 0);
}

static void test_each_mode_that_is_configured_is_taken(void)
{
	struct xdp_plan plan;

	begin();
	config.mode = XDP_NATIVE;
	plan = plan_of();
	CHECK(plan.is_possible && plan.is_mode_certain && plan.mode == XDP_NATIVE);
	config.mode = XDP_GENERIC;
	plan = plan_of();
	CHECK(plan.is_possible && plan.is_mode_certain && plan.mode == XDP_GENERIC);
	CHECK_EQ(warned(&plan, "generic mode runs behind the driver"), 1);
	config.mode = XDP_OFF;
	plan = plan_of();
	CHECK(!plan.is_possible);
	CHECK_STR(plan.why, "XDP is off by configuration (xdp.mode)");
}

static void test_kind_of_device_is_refused_or_warned_of(void)
{
	static const struct {
		const char *kind;
		bool is_possible;
		const char *text; /* of the refusal or the first warning */
	} rows[] = {
		{"", true, NULL},
		{"bond", false, "none7 is a bond"},
		{"team", false, "none7 is a team"},
		{"bridge", true, "a bridge shows only"},
		{"vlan", true, "a VLAN device runs XDP behind"},
		{"veth", true, "turns segmentation offload off"},
		{"dummy", true, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xdp_plan plan;

		begin();
		snprintf(netdev.kind, sizeof(netdev.kind), "%s", rows[i].kind);
		plan = plan_of();
		CHECK_STR(plan.kind, rows[i].kind);
		CHECK_EQ(plan.is_possible, rows[i].is_possible);
		if (!rows[i].is_possible)
			CHECK(strstr(plan.why, rows[i].text));
		CHECK_EQ(plan.warning_cnt > 0, rows[i].is_possible && rows[i].text != NULL);
		if (plan.warning_cnt)
			CHECK(strstr(plan.warnings[0], rows[i].text));
	}
}

static void test_veth_in_generic_mode_keeps_its_offload(void)
{
	struct xdp_plan plan;

	begin();
	snprintf(netdev.kind, sizeof(netdev.kind), "veth");
	plan = plan_of();
	CHECK_EQ(plan.warning_cnt, 2);
	CHECK_EQ(warned(&plan, "reach the other end of a veth only while"), 1);
	config.mode = XDP_GENERIC;
	plan = plan_of();
	CHECK_EQ(warned(&plan, "veth"), 0);
}

static void test_device_without_ethernet_is_refused_but_loopback(void)
{
	struct xdp_plan plan;

	begin();
	netdev.is_ethernet = false;
	plan = plan_of();
	CHECK(!plan.is_possible);
	CHECK(strstr(plan.why, "frames of none7 have no Ethernet header"));
	netdev.is_loopback = true;
	plan = plan_of();
	CHECK(plan.is_possible);
	CHECK_EQ(plan.warning_cnt, 1);
	CHECK_EQ(warned(&plan, "lo carries only this machine's own packets"), 1);
}

static void test_port_and_device_that_is_down_are_warned_of(void)
{
	struct xdp_plan plan;

	begin();
	netdev.master_ifindex = 3;
	netdev.is_up = false;
	plan = plan_of();
	CHECK(plan.is_possible);
	CHECK_EQ(plan.warning_cnt, 2);
	CHECK_EQ(warned(&plan, "none7 is a port of a bridge or bond"), 1);
	CHECK_EQ(warned(&plan, "none7 is down"), 1);
}

static void test_foreign_program_keeps_the_device(void)
{
	struct xdp_plan plan;

	begin();
	netdev.prog_id = UINT32_MAX; /* no program has it, so no name is learned */
	plan = plan_of();
	CHECK(!plan.is_possible);
	CHECK_EQ(plan.foreign_id, UINT32_MAX);
	CHECK(strstr(plan.why, "none7 has an XDP program already, id 4294967295, and keeps it"));
}

static void test_frames_grow_with_the_mtu_and_say_where_they_end(void)
{
	static const struct {
		uint32_t mtu, frame_len;
		bool is_warned;
	} rows[] = {
		{ROOM_MIN, UMEM_FRAME_LEN_MIN, false},
		{ROOM_MIN + 1, UMEM_FRAME_LEN_MAX, false},
		{ROOM_MAX, UMEM_FRAME_LEN_MAX, false},
		{ROOM_MAX + 1, UMEM_FRAME_LEN_MAX, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xdp_plan plan;
		char room[64];

		begin();
		netdev.mtu = rows[i].mtu;
		plan = plan_of();
		CHECK_EQ(plan.frame_len, rows[i].frame_len);
		snprintf(room, sizeof(room), "frames hold packets of %u bytes", ROOM_MAX);
		CHECK_EQ(warned(&plan, room), rows[i].is_warned);
	}
}

static void test_queues_are_served_up_to_each_limit(void)
{
	static const struct {
		uint32_t has, wanted, served;
		const char *text;
	} rows[] = {
		{1, 0, 1, NULL},
		{4, 0, 4, NULL},
		{4, 4, 4, NULL},
		{4, 5, 4, NULL},
		{4, 3, 3, "of 4 queues 3 are served"},
		{4, 1, 1, "of 4 queues 1 is served"},
		{XDP_QUEUE_MAX, 0, XDP_QUEUE_MAX, NULL},
		{XDP_QUEUE_MAX + 1, 0, XDP_QUEUE_MAX, "of 17 queues 16 are served"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xdp_plan plan;

		begin();
		netdev.rx_queue_cnt = rows[i].has;
		config.queue_cnt = rows[i].wanted;
		plan = plan_of();
		CHECK_EQ(plan.queue_cnt, rows[i].has);
		CHECK_EQ(plan.served_cnt, rows[i].served);
		CHECK_EQ(plan.warning_cnt, rows[i].text != NULL);
		if (rows[i].text)
			CHECK_EQ(warned(&plan, rows[i].text), 1);
	}
}

/* The first queue of each worker sends, and has twice the frames. */
static void test_senders_are_as_many_as_workers_and_cost_frames(void)
{
	size_t one, two;
	struct xdp_plan plan;

	begin();
	config.frame_cnt = 2048; /* each is more than a huge page */
	one = net_umem_footprint(2048, UMEM_FRAME_LEN_MIN);
	two = net_umem_footprint(4096, UMEM_FRAME_LEN_MIN);
	netdev.rx_queue_cnt = 4;
	config.worker_cnt = 2;
	plan = plan_of();
	CHECK(two > one);
	CHECK_EQ(net_xdp_plan_sender_cnt(&config, &plan), 0);
	CHECK_EQ(plan.frames_len, 4 * one);
	config.send = XDP_SEND_AF_XDP;
	plan = plan_of();
	CHECK(plan.may_send);
	CHECK_EQ(net_xdp_plan_sender_cnt(&config, &plan), 2);
	CHECK_EQ(plan.frames_len, 2 * two + 2 * one);
	config.worker_cnt = 0; /* one */
	plan = plan_of();
	CHECK_EQ(net_xdp_plan_sender_cnt(&config, &plan), 1);
	config.worker_cnt = 9;
	plan = plan_of();
	CHECK_EQ(net_xdp_plan_sender_cnt(&config, &plan), 4);
	CHECK_EQ(plan.frames_len, 4 * two);
	config.send = XDP_SEND_UDP;
	plan = plan_of();
	CHECK(!plan.may_send);
}

static void test_tables_grow_with_the_sessions(void)
{
	struct xdp_plan few, more;

	begin();
	config.session_cap = 1000;
	few = plan_of();
	config.session_cap = 2000;
	more = plan_of();
	CHECK(more.tables_len - few.tables_len >=
	      1000 * (sizeof(struct weft_endpoint) + sizeof(struct weft_session)));
	CHECK(more.tables_len - few.tables_len <=
	      1000 * (sizeof(struct weft_endpoint) + sizeof(struct weft_session) + 128));
}

static void test_plan_of_no_device_is_no_plan(void)
{
	struct xdp_plan plan;

	begin();
	CHECK(net_xdp_plan(&config, "none-such0", &plan) < 0);
	CHECK_EQ(net_xdp_plan(&config, "lo", &plan), 0);
	CHECK_STR(plan.name, "lo");
}

int main(void)
{
	RUN(test_plain_device_is_possible_and_warns_of_nothing);
	RUN(test_each_mode_that_is_configured_is_taken);
	RUN(test_kind_of_device_is_refused_or_warned_of);
	RUN(test_veth_in_generic_mode_keeps_its_offload);
	RUN(test_device_without_ethernet_is_refused_but_loopback);
	RUN(test_port_and_device_that_is_down_are_warned_of);
	RUN(test_foreign_program_keeps_the_device);
	RUN(test_frames_grow_with_the_mtu_and_say_where_they_end);
	RUN(test_queues_are_served_up_to_each_limit);
	RUN(test_senders_are_as_many_as_workers_and_cost_frames);
	RUN(test_tables_grow_with_the_sessions);
	RUN(test_plan_of_no_device_is_no_plan);
	return check_done();
}
