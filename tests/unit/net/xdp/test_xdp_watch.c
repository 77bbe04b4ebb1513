/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of attached devices, told by messages as the kernel writes them. The
 * devices exist nowhere, so their programs are never told anything.
 */
#include <linux/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/net/link_message.h"
#include "net/udp/udp_frame.h"
#include "net/xdp/xdp_state.h"
#include "support/check.h"

static struct {
	struct xdp xdp;
	struct xdp_device devices[2];
	int kernel_fd;
	unsigned cnt;
	/* The last fault. */
	unsigned number;
	enum xdp_fault fault;
	char detail[XDP_WHY_CAP];
} lab;

static void on_fault(void *ctx, unsigned device, enum xdp_fault fault, const char *detail)
{
	if (ctx != &lab)
		abort();
	lab.cnt++;
	lab.number = device;
	lab.fault = fault;
	snprintf(lab.detail, sizeof(lab.detail), "%s", detail);
}

/* Devices 0 and 2, with a gap between. */
static void begin(void)
{
	int fds[2];

	memset(&lab, 0, sizeof(lab));
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	lab.kernel_fd = fds[0];
	lab.xdp.watch_fd = fds[1];
	lab.xdp.params = (struct xdp_params){.on_fault = on_fault, .ctx = &lab};
	for (unsigned i = 0; i < 2; i++) {
		struct xdp_device_info *info = &lab.devices[i].info;

		snprintf(info->name, sizeof(info->name), "none%u", i);
		info->ifindex = 0x7ffffff0 + i;
		info->mtu = 1500;
		info->deliver_len_max = 1600 + LINK_HEADER_LEN_MAX;
		info->is_running = true;
		lab.devices[i].link_fd = -1;
		lab.xdp.devices[2 * i] = &lab.devices[i];
	}
	lab.xdp.device_cnt = 2;
}

static void end(void)
{
	close(lab.kernel_fd);
	close(lab.xdp.watch_fd);
}

static void say(uint16_t type, unsigned i, const char *name, uint32_t mtu, unsigned flags)
{
	struct link_message message;

	link_message_begin(&message, type, 0x7ffffff0 + (int)i, flags);
	link_message_put(&message, IFLA_IFNAME, name, strlen(name) + 1);
	link_message_u32(&message, IFLA_MTU, mtu);
	if (send(lab.kernel_fd, message.bytes, message.len, 0) < 0)
		abort();
	net_xdp_check(&lab.xdp);
}

static void test_link_that_goes_and_comes_is_reported_once_each(void)
{
	begin();
	say(RTM_NEWLINK, 1, "none1", 1500, IFF_UP);
	CHECK_EQ(lab.cnt, 1);
	CHECK_EQ(lab.number, 2);
	CHECK_EQ(lab.fault, XDP_LINK_DOWN);
	CHECK_STR(lab.detail, "none1 has no link");
	CHECK(!lab.devices[1].info.is_running && lab.devices[0].info.is_running);
	say(RTM_NEWLINK, 1, "none1", 1500, IFF_UP);
	CHECK_EQ(lab.cnt, 1);
	say(RTM_NEWLINK, 1, "none1", 1500, IFF_UP | IFF_RUNNING);
	CHECK_EQ(lab.cnt, 2);
	CHECK_EQ(lab.fault, XDP_LINK_UP);
	CHECK_STR(lab.detail, "none1 is up again");
	CHECK(lab.devices[1].info.is_running);
	CHECK_EQ(lab.devices[1].info.fault_cnt[XDP_LINK_DOWN], 1);
	CHECK_EQ(lab.devices[1].info.fault_cnt[XDP_LINK_UP], 1);
	CHECK_EQ(lab.devices[0].info.fault_cnt[XDP_LINK_DOWN], 0);
	end();
}

static void test_mtu_above_a_frame_says_what_to_do(void)
{
	begin();
	say(RTM_NEWLINK, 0, "none0", 1600, IFF_UP | IFF_RUNNING);
	CHECK_EQ(lab.cnt, 1);
	CHECK_EQ(lab.number, 0);
	CHECK_EQ(lab.fault, XDP_MTU_CHANGED);
	CHECK_STR(lab.detail, "MTU of none0 went from 1500 to 1600");
	CHECK_EQ(lab.devices[0].info.mtu, 1600);
	say(RTM_NEWLINK, 0, "none0", 1601, IFF_UP | IFF_RUNNING);
	CHECK_EQ(lab.cnt, 2);
	CHECK(strstr(lab.detail, "went from 1600 to 1601; larger packets than a frame"));
	say(RTM_NEWLINK, 0, "none0", 1601, IFF_UP | IFF_RUNNING);
	CHECK_EQ(lab.cnt, 2);
	end();
}

static void test_device_that_is_gone_is_reported_once(void)
{
	begin();
	say(RTM_DELLINK, 1, "none1", 1500, 0);
	CHECK_EQ(lab.cnt, 1);
	CHECK_EQ(lab.number, 2);
	CHECK_EQ(lab.fault, XDP_DEVICE_GONE);
	CHECK(strstr(lab.detail, "none1 is gone"));
	CHECK(lab.devices[1].info.is_lost && !lab.devices[1].info.is_running);
	CHECK(!lab.devices[0].info.is_lost);
	say(RTM_DELLINK, 1, "none1", 1500, 0);
	CHECK_EQ(lab.cnt, 1);
	end();
}

static void test_other_devices_are_ignored(void)
{
	begin();
	say(RTM_NEWLINK, 9, "none9", 9000, 0);
	say(RTM_DELLINK, 9, "none9", 9000, 0);
	CHECK_EQ(lab.cnt, 0);
	CHECK(!lab.xdp.is_link_due);
	CHECK(!lab.devices[0].info.is_lost && !lab.devices[1].info.is_lost);
	end();
}

static void test_renamed_device_is_called_by_its_new_name(void)
{
	begin();
	say(RTM_NEWLINK, 0, "other0", 1500, IFF_UP | IFF_RUNNING);
	CHECK_EQ(lab.cnt, 0);
	CHECK_STR(lab.devices[0].info.name, "other0");
	/* Its program could not be told what changed, and will be. */
	CHECK(lab.xdp.is_link_due);
	say(RTM_NEWLINK, 0, "other0", 1500, IFF_UP);
	CHECK_STR(lab.detail, "other0 has no link");
	end();
}

/* The only device left is lost: there is no program to tell. */
static void test_lost_device_has_no_program_that_is_owed_news(void)
{
	begin();
	lab.xdp.devices[0] = NULL;
	say(RTM_NEWLINK, 1, "none1", 1500, IFF_UP | IFF_RUNNING);
	CHECK(lab.xdp.is_link_due);
	say(RTM_DELLINK, 1, "none1", 1500, 0);
	CHECK(!lab.xdp.is_link_due);
	end();
}

static void test_faults_need_no_listener(void)
{
	begin();
	lab.xdp.params.on_fault = NULL;
	say(RTM_NEWLINK, 0, "none0", 1500, IFF_UP);
	CHECK_EQ(lab.cnt, 0);
	CHECK_EQ(lab.devices[0].info.fault_cnt[XDP_LINK_DOWN], 1);
	end();
}

static void test_each_fault_has_a_name_of_its_own(void)
{
	for (unsigned i = 0; i < XDP_FAULT_CNT; i++) {
		CHECK(strcmp(net_xdp_fault_name((enum xdp_fault)i), "unknown") != 0);
		for (unsigned k = 0; k < i; k++)
			CHECK(strcmp(net_xdp_fault_name((enum xdp_fault)i),
				     net_xdp_fault_name((enum xdp_fault)k)) != 0);
	}
	CHECK_STR(net_xdp_fault_name(XDP_LINK_DOWN), "link-down");
	CHECK_STR(net_xdp_fault_name(XDP_FAULT_CNT), "unknown");
}

int main(void)
{
	RUN(test_link_that_goes_and_comes_is_reported_once_each);
	RUN(test_mtu_above_a_frame_says_what_to_do);
	RUN(test_device_that_is_gone_is_reported_once);
	RUN(test_other_devices_are_ignored);
	RUN(test_renamed_device_is_called_by_its_new_name);
	RUN(test_lost_device_has_no_program_that_is_owed_news);
	RUN(test_faults_need_no_listener);
	RUN(test_each_fault_has_a_name_of_its_own);
	return check_done();
}
