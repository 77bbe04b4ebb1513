/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and programs that change or go, and sockets that cannot be opened. */
#include "xsk_rig.h"

static void test_link_down_and_up_is_reported_and_survived(void)
{
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	shell("ip link set veth0 down");
	check_until(&lab, XDP_LINK_DOWN);
	CHECK_EQ(lab.fault_cnt[XDP_LINK_DOWN], 1);
	shell("ip link set veth0 up");
	check_until(&lab, XDP_LINK_UP);
	CHECK_EQ(lab.fault_cnt[XDP_LINK_UP], 1);
	far_send(&lab, true, 0, 100);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	lab_close(&lab);
}

static void test_another_mtu_is_reported(void)
{
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	shell("ip link set veth0 mtu 1400");
	check_until(&lab, XDP_MTU_CHANGED);
	CHECK_EQ(lab.fault_cnt[XDP_MTU_CHANGED], 1);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->mtu, 1400);
	lab_close(&lab);
}

static void test_a_device_that_is_gone_is_reported_once_and_another_can_come(void)
{
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	shell("ip link del veth0");
	check_until(&lab, XDP_DEVICE_GONE);
	net_xdp_check(lab.xdp);
	CHECK_EQ(lab.fault_cnt[XDP_DEVICE_GONE], 1);
	CHECK(net_xdp_device_info(lab.xdp, 0)->is_lost);
	CHECK_EQ(lab.fault_cnt[XDP_PROGRAM_GONE], 0);
	device_detach(&lab);
	close(lab.far);
	veth_make();
	lab.far = far_open();
	device_attach(&lab);
	CHECK_EQ(lab.device, 0);
	lab_close(&lab);
}

/* What bpftool link detach does. */
static bool links_detach_all(void)
{
	uint32_t id = 0;
	bool is_any = false;

	while (bpf_link_get_next_id(id, &id) == 0) {
		struct bpf_link_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_link_get_info_by_fd(fd, &info, &len) == 0 &&
		    info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == if_nametoindex("veth0"))
			is_any |= bpf_link_detach(fd) == 0;
		close(fd);
	}
	return is_any;
}

static void test_a_detached_program_is_reported_and_datagrams_come_by_the_socket(void)
{
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK(links_detach_all());
	check_until(&lab, XDP_PROGRAM_GONE);
	CHECK_EQ(lab.fault_cnt[XDP_PROGRAM_GONE], 1);
	far_send(&lab, true, 0, 100);
	CHECK_EQ(receive(lab.rx, &dgram, 1), 1);
	lab_close(&lab);
}

static void test_a_second_program_is_refused_by_name(void)
{
	struct xdp_device *device;
	struct xdp_plan plan;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_plan(&config, "veth0", &plan), 0);
	CHECK(!plan.is_possible);
	CHECK_EQ(plan.foreign_id, net_xdp_device_info(lab.xdp, 0)->prog_id);
	CHECK_STR(plan.foreign_name, "weft_xdp");
	CHECK(strstr(plan.why, "weft_xdp") != NULL);
	CHECK_EQ(net_xdp_device_open(lab.xdp, &config, "veth0", &device, lab.why), WEFT_EBUSY);
	lab_close(&lab);
}

static void test_a_socket_that_cannot_be_opened_names_the_failed_step(void)
{
	static const struct {
		unsigned ifindex;
		uint32_t rx_frame_cnt;
		const char *want;
	} rows[] = {
		{1, 100, "the size of the fill ring"}, /* no power of two */
		{0, 256, "binding it to the queue"},   /* no device */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct xsk_config xsk_config = {
			.ifindex = rows[i].ifindex,
			.device_name = "none",
			.mode_name = "generic",
			.frame_len = 2048,
			.rx_frame_cnt = rows[i].rx_frame_cnt,
		};
		struct xsk *xsk = NULL;
		const char *failed = NULL;

		CHECK(net_xsk_open(&xsk_config, &failed, &xsk) < 0);
		CHECK_STR(failed, rows[i].want);
		CHECK(xsk == NULL);
	}
}

int main(void)
{
	const __u64 key[2] = {1, 2};

	if (geteuid() != 0)
		SKIP_ALL("XDP needs root");
	if (unshare(CLONE_NEWNET) < 0)
		SKIP_ALL("no network namespace of our own");
	shell("ip link set lo up");
	weft_cid_keys_rotate(&keys, key);
	net_xdp_config_defaults(&config);
	config.frame_cnt = FRAME_CNT;
	if (!can_load())
		SKIP_ALL("the kernel does not take the program");
	RUN(test_link_down_and_up_is_reported_and_survived);
	RUN(test_another_mtu_is_reported);
	RUN(test_a_device_that_is_gone_is_reported_once_and_another_can_come);
	RUN(test_a_detached_program_is_reported_and_datagrams_come_by_the_socket);
	RUN(test_a_second_program_is_refused_by_name);
	RUN(test_a_socket_that_cannot_be_opened_names_the_failed_step);
	return check_done();
}
