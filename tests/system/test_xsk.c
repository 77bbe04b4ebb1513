/* SPDX-License-Identifier: Apache-2.0 */
/* The AF_XDP path: datagrams, sending, queues, frames and plans. */
#include "xsk_rig.h"

static uint32_t frame_sum(const struct lab *lab)
{
	const struct xdp_queue *queue;
	uint32_t cnt[UMEM_OWNER_CNT], sum = 0;

	for (unsigned i = 0; (queue = net_xdp_queue_of(lab->xdp, (unsigned)lab->device, i)); i++) {
		net_xdp_queue_frames(queue, cnt);
		for (int owner = 0; owner < UMEM_OWNER_CNT; owner++)
			sum += cnt[owner];
	}
	return sum;
}

static void test_datagrams_come_by_the_ring_with_their_addresses(void)
{
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->mode, XDP_NATIVE);
	for (unsigned row = 0; row < 6; row++) {
		struct addr us = addr_of(row % 2 ? "10.77.0.1:7000" : "[fd77::1]:7000");
		struct addr peer = addr_of(row % 2 ? "10.77.0.2:4000" : "[fd77::2]:4000");
		struct dgram dgram;

		far_send(&lab, row % 2, row / 2, 100 + row);
		CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
		CHECK_EQ(dgram.len, 100 + row);
		CHECK_EQ(dgram.ecn, 2);
		CHECK(addr_equal(&dgram.local, &us));
		CHECK(addr_equal(&dgram.remote, &peer));
		CHECK(weft_cid_is_ours(&keys, dgram.data + 1));
	}
	CHECK(net_xdp_queue_of(lab.xdp, 0, net_xdp_device_info(lab.xdp, 0)->queue_cnt) == NULL);
	lab_close(&lab);
}

static void test_unhooked_and_detached_devices_leave_datagrams_to_the_socket(void)
{
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	far_send(&lab, true, 0, 100);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	far_send(&lab, true, 0, 101);
	net_xdp_unhook(lab.xdp, 0);
	far_send(&lab, true, 0, 102);
	/* What stood in the ring can still be taken. */
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 101);
	CHECK_EQ(receive(lab.rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 102);
	device_detach(&lab);
	far_send(&lab, true, 0, 103);
	CHECK_EQ(receive(lab.rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 103);
	device_attach(&lab);
	CHECK_EQ(lab.device, 0);
	far_send(&lab, true, 0, 104);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 104);
	lab_close(&lab);
}

static void send_run(struct lab *lab, size_t len, size_t segment_len)
{
	struct dgram_sink *sink = &net_xdp_worker_tx(lab->xdp_worker)->sink;
	struct dgram_route route = {.local = addr_of("10.77.0.1:7000"),
				    .remote = addr_of("10.77.0.2:4000"),
				    .segment_len = segment_len,
				    .ecn = 1};
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot))
		abort();
	memset(slot.data, 0x33, len);
	sink->ops->commit(sink, &slot, len, &route);
	if (packet_tx_flush(net_xdp_worker_tx(lab->xdp_worker)) < 0)
		abort();
}

/* Datagrams from 10.77.0.1 that arrive at the far end within a second, and what they have in sum. */
static unsigned far_receive(struct lab *lab, unsigned cnt, size_t *out_len)
{
	uint64_t end_ns = clock_monotonic_ns() + NS_PER_S;
	unsigned got = 0;

	*out_len = 0;
	while (got < cnt && clock_monotonic_ns() < end_ns) {
		uint8_t frame[65536];
		struct dgram dgram;
		size_t link_len;
		ssize_t len = recv(lab->far, frame, sizeof(frame), 0);

		if (len <= 0 || !net_udp_frame_parse(frame, (size_t)len, 1, &dgram, &link_len) ||
		    dgram.local.port != 4000)
			continue;
		got++;
		*out_len += dgram.len;
	}
	return got;
}

static void test_sending_goes_by_the_ring_once_the_path_is_heard(void)
{
	struct packet_tx *tx;
	struct dgram dgram;
	struct lab lab;
	size_t len;

	config.send = XDP_SEND_AF_XDP;
	lab_open(&lab);
	config.send = XDP_SEND_AUTO;
	CHECK_EQ(lab.device, 0);
	tx = net_xdp_worker_tx(lab.xdp_worker);
	CHECK(tx != NULL);
	send_run(&lab, 100, 0);
	CHECK_EQ(far_receive(&lab, 1, &len), 1);
	CHECK_EQ(tx->counters.dgram_cnt, 0);
	CHECK_EQ(lab.tx->counters.dgram_cnt, 1);
	far_send(&lab, true, 0, 100);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	send_run(&lab, 10 * 1200 + 7, 1200);
	CHECK_EQ(far_receive(&lab, 11, &len), 11);
	CHECK_EQ(len, 10 * 1200 + 7);
	CHECK_EQ(tx->counters.dgram_cnt, 11);
	/* Larger than the MTU: the kernel's socket says so. */
	send_run(&lab, 2000, 0);
	CHECK_EQ(tx->counters.dgram_cnt, 11);
	CHECK_EQ(tx->toobig_cnt, 1);
	/* Many times the frames there are: none is lost, none leaks. */
	for (int i = 0; i < 100; i++) {
		send_run(&lab, 60 * 1000, 1000);
		CHECK_EQ(far_receive(&lab, 60, &len), 60);
	}
	CHECK_EQ(frame_sum(&lab) % FRAME_CNT, 0);
	/* Beyond an MTU that has shrunk it is the kernel's, too. */
	len = tx->counters.dgram_cnt;
	net_xdp_worker_set_mtu(lab.xdp_worker, 0, 1000);
	send_run(&lab, 1000, 0);
	CHECK_EQ(tx->counters.dgram_cnt, len);
	net_xdp_worker_set_mtu(lab.xdp_worker, 0, 1500);
	send_run(&lab, 1000, 0);
	CHECK_EQ(tx->counters.dgram_cnt, len + 1);
	net_xdp_worker_turn(lab.xdp_worker, 31 * NS_PER_S);
	len = tx->counters.dgram_cnt;
	send_run(&lab, 100, 0);
	CHECK_EQ(tx->counters.dgram_cnt, len);
	lab_close(&lab);
}

static void test_starved_of_frames_it_loses_counts_and_recovers(void)
{
	struct dgram dgrams[FRAME_CNT];
	uint32_t owned[UMEM_OWNER_CNT];
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	for (unsigned i = 0; i < 2 * FRAME_CNT; i++)
		far_send(&lab, true, 0, 100);
	check_until(&lab, XDP_FILL_EMPTY);
	CHECK(lab.fault_cnt[XDP_FILL_EMPTY] > 0);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, dgrams, FRAME_CNT), FRAME_CNT);
	CHECK(net_xdp_device_info(lab.xdp, 0)->rx_lost_cnt >= FRAME_CNT);
	for (unsigned round = 0; round < 100; round++) {
		/* What a burst lent is given back by the next. */
		CHECK_EQ(packet_rx_burst(net_xdp_queue_of(lab.xdp, 0, 0)->rx, dgrams, 1), 0);
		for (unsigned i = 0; i < FRAME_CNT / 2; i++)
			far_send(&lab, true, 0, 200);
		CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, dgrams, FRAME_CNT / 2),
			 FRAME_CNT / 2);
	}
	CHECK_EQ(packet_rx_burst(net_xdp_queue_of(lab.xdp, 0, 0)->rx, dgrams, 1), 0);
	net_xdp_queue_frames(net_xdp_queue_of(lab.xdp, 0, 0), owned);
	CHECK_EQ(owned[UMEM_FILLING] % FRAME_CNT, 0);
	CHECK_EQ(owned[UMEM_LENT], 0);
	lab_close(&lab);
}

static void test_two_devices_share_their_tables(void)
{
	struct weft_counter counters[WEFT_REASON_CNT];
	struct xdp_device *device;
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_device_open(lab.xdp, &config, "veth1", &device, lab.why), 0);
	CHECK_EQ(net_xdp_take(lab.xdp, device), 1);
	far_send(&lab, true, 0, 100);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	/* The first one gone, the tables are still there for the second. */
	device_detach(&lab);
	net_xdp_counters(lab.xdp, counters);
	CHECK_EQ(counters[WEFT_REASON_NEW_PATH].packet_cnt, 1);
	policy_set(lab.xdp);
	net_xdp_detach(lab.xdp, 1);
	net_xdp_counters(lab.xdp, counters);
	CHECK_EQ(counters[WEFT_REASON_NEW_PATH].packet_cnt, 0);
	lab_close(&lab);
}

struct sampled {
	unsigned cnt;
	struct weft_sample last;
};

static void sampled_take(void *ctx, const struct weft_sample *sample)
{
	struct sampled *sampled = ctx;

	sampled->cnt++;
	sampled->last = *sample;
}

static void test_bans_are_put_counted_reported_and_taken_back(void)
{
	const struct weft_ban ban = {0};
	struct addr prefix = addr_of("10.77.0.0:0");
	struct weft_config policy = {.ban_ipv4_cnt = 1};
	struct weft_counter counters[WEFT_REASON_CNT];
	struct sampled sampled = {0};
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_ban_put(lab.xdp, &prefix, 24, &ban), 0);
	policy.samples = (struct weft_bucket_rate){1, NS_PER_S};
	CHECK_EQ(net_xdp_set_config(lab.xdp, &policy), 0);
	far_send(&lab, true, 0, 100);
	for (int i = 0; i < 1000 && !sampled.cnt; i++) {
		sched_yield();
		(void)net_xdp_samples(lab.xdp, sampled_take, &sampled);
	}
	CHECK_EQ(sampled.cnt, 1);
	CHECK_EQ(sampled.last.reason, WEFT_REASON_BANNED);
	CHECK_EQ(sampled.last.weight, 1);
	net_xdp_counters(lab.xdp, counters);
	CHECK_EQ(counters[WEFT_REASON_BANNED].packet_cnt, 1);
	net_xdp_ban_delete(lab.xdp, &prefix, 24);
	policy_set(lab.xdp);
	far_send(&lab, true, 0, 100);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	lab_close(&lab);
}

static int prove(struct lab *lab, uint16_t port, uint64_t expires_ns)
{
	const struct addr peer = addr_of("10.77.0.2:1");
	const struct weft_session entry = {.expires_ns = expires_ns};
	struct weft_endpoint source = {.port_be = htons(port)};

	weft_endpoint_set_ipv4(&source, peer.ip);
	return net_xdp_session_put(lab->xdp, &source, &entry);
}

static void test_paths_of_sessions_are_swept_when_they_expire_and_a_full_table_says_so(void)
{
	unsigned swept = 0;
	struct lab lab;
	int err = 0;

	config.session_cap = 1000;
	lab_open(&lab);
	net_xdp_config_defaults(&config);
	config.frame_cnt = FRAME_CNT;
	CHECK_EQ(lab.device, 0);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_EQ(prove(&lab, (uint16_t)(1 + i), i % 2 ? 100 : 1000), 0);
	}
	/* The kernel's hash keeps some entries per CPU in reserve. */
	for (unsigned i = 1000; i < 2000 && !err; i++)
		err = prove(&lab, (uint16_t)(1 + i), 1000);
	CHECK_EQ(err, WEFT_EFULL);
	for (int i = 0; i < 10; i++)
		swept += net_xdp_session_sweep(lab.xdp, 500);
	CHECK_EQ(swept, 500);
	CHECK_EQ(prove(&lab, 1, 1000), 0);
	lab_close(&lab);
}

static void test_plans_say_what_they_will_do(void)
{
	static const struct {
		const char *make, *name;
		bool is_possible;
		enum xdp_mode mode;
		const char *word;
	} rows[] = {
		{"true", "lo", true, XDP_GENERIC, "own packets"},
		{"ip link add w0 type bridge", "w0", true, XDP_GENERIC, "ports"},
		{"ip link add w0 type bond", "w0", false, XDP_NATIVE, "each port"},
		{"ip tuntap add w0 mode tun", "w0", false, XDP_NATIVE, "Ethernet"},
		{"ip tuntap add w0 mode tap && ip link set w0 up", "w0", true, XDP_NATIVE, ""},
		{"ip link add w0 type veth peer name w1", "w0", true, XDP_NATIVE, "segmentation"},
		{"ip link add w0 type veth peer name w1", "w0", true, XDP_NATIVE, "down"},
		{"ip link add w0 mtu 9000 type veth peer name w1 mtu 9000", "w0", true, XDP_NATIVE,
		 "larger ones"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xdp_plan plan;
		char all[XDP_WHY_CAP * (XDP_WARNING_MAX + 1)];

		if (system(rows[i].make) != 0) {
			printf("# not here: %s\n", rows[i].make);
			continue;
		}
		CHECK_EQ(net_xdp_plan(&config, rows[i].name, &plan), 0);
		snprintf(all, sizeof(all), "%s", plan.why);
		for (unsigned j = 0; j < plan.warning_cnt; j++)
			strncat(all, plan.warnings[j], sizeof(all) - strlen(all) - 1);
		if (if_nametoindex("w0"))
			shell("ip link del w0");
		printf("# %s: %s\n", rows[i].make, all);
		CHECK_EQ(plan.is_possible, rows[i].is_possible);
		CHECK(!plan.is_possible || plan.mode == rows[i].mode);
		CHECK(strstr(all, rows[i].word) != NULL);
		CHECK(plan.frames_len > 0 || !plan.served_cnt);
	}
	struct xdp_plan none;

	CHECK_EQ(net_xdp_plan(&config, "w0", &none), -ENODEV);
}

static void test_frames_larger_than_umem_frames_come_by_the_socket(void)
{
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->deliver_len_max, 1792);
	shell("ip link set veth0 mtu 3000 && ip link set veth1 mtu 3000");
	/* 14 bytes of Ethernet, 28 of IPv4 and UDP. */
	far_send(&lab, true, 0, 1792 - 42);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 1792 - 42);
	far_send(&lab, true, 0, 1792 - 41);
	CHECK_EQ(receive(lab.rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 1792 - 41);
	net_xdp_check(lab.xdp);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->rx_lost_cnt, 0);
	device_detach(&lab);
	device_attach(&lab);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->deliver_len_max, 3840);
	far_send(&lab, true, 0, 2900);
	CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
	lab_close(&lab);
}

static void test_generic_mode_delivers_too(void)
{
	struct dgram dgram;
	struct lab lab;

	config.mode = XDP_GENERIC;
	lab_open(&lab);
	config.mode = XDP_AUTO;
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->mode, XDP_GENERIC);
	CHECK_STR(net_xdp_queue_of(lab.xdp, 0, 0)->rx->backend, "af_xdp/copy");
	for (unsigned is_ipv4 = 0; is_ipv4 < 2; is_ipv4++) {
		far_send(&lab, is_ipv4, 0, 1200);
		CHECK_EQ(receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1), 1);
		CHECK_EQ(dgram.len, 1200);
	}
	lab_close(&lab);
}

static bool keep_only_three(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	const unsigned three[] = {CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW};

	for (int i = 0; i < 3; i++) {
		data[CAP_TO_INDEX(three[i])].effective |= CAP_TO_MASK(three[i]);
		data[CAP_TO_INDEX(three[i])].permitted |= CAP_TO_MASK(three[i]);
	}
	return syscall(SYS_capset, &header, data) == 0;
}

/* In a child, for what is given up does not come back. */
static int privilege_child(void)
{
	struct addr local = addr_of("10.77.0.1:7001");
	struct weft_counter counters[WEFT_REASON_CNT];
	struct xdp_device *device;
	struct dgram dgram;
	struct lab lab;

	if (!keep_only_three() || !privilege_is_held())
		return 1;
	lab_open(&lab);
	if (lab.device != 0) {
		printf("# %s\n", lab.why);
		return 3;
	}
	if (privilege_drop() < 0 || privilege_is_held())
		return 4;
	far_send(&lab, true, 0, 100);
	if (receive(net_xdp_queue_of(lab.xdp, 0, 0)->rx, &dgram, 1) != 1)
		return 5;
	if (net_xdp_set_locals(lab.xdp, &local, 1) < 0)
		return 6;
	net_xdp_counters(lab.xdp, counters);
	if (counters[WEFT_REASON_NEW_PATH].packet_cnt != 1)
		return 7;
	device_detach(&lab);
	if (net_xdp_device_open(lab.xdp, &config, "veth0", &device, lab.why) != -EPERM)
		return 8;
	return strstr(lab.why, "CAP_BPF") ? 0 : 9;
}

static void test_three_capabilities_are_enough_and_can_be_dropped(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(privilege_child());
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (if_nametoindex("veth0"))
		shell("ip link del veth0");
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Two queues, of two workers: what they have to send by, and their frames. */
static void test_each_worker_has_its_queues_frames_and_way_to_send(void)
{
	const uint64_t secret[2] = {3, 4};
	struct xdp_queue *queue;
	struct xdp_worker *other;
	struct lab lab;

	veth_queue_cnt = 2;
	config.send = XDP_SEND_AF_XDP;
	config.worker_cnt = 2;
	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	CHECK_EQ(net_xdp_device_info(lab.xdp, 0)->queue_cnt, 2);
	CHECK_EQ(frame_sum(&lab), 2 * 2 * FRAME_CNT);
	CHECK_EQ(net_xdp_worker_new(lab.tx, secret, &other), 0);
	CHECK(net_xdp_worker_tx(other) == NULL);
	queue = net_xdp_queue_of(lab.xdp, 0, 1);
	net_xdp_worker_remove(lab.xdp_worker, queue);
	CHECK(net_xdp_worker_tx(lab.xdp_worker) != NULL);
	net_xdp_worker_add(other, queue);
	CHECK(net_xdp_worker_tx(other) != NULL);
	CHECK(net_xdp_worker_tx(other) != net_xdp_worker_tx(lab.xdp_worker));
	net_xdp_worker_remove(other, queue);
	CHECK(net_xdp_worker_tx(other) == NULL);
	net_xdp_worker_free(other);
	lab_close(&lab);
	/* For one worker only the first sends. */
	config.worker_cnt = 1;
	lab_open(&lab);
	CHECK_EQ(frame_sum(&lab), 3 * FRAME_CNT);
	CHECK(!net_xdp_queue_of(lab.xdp, 0, 1)->sends);
	lab_close(&lab);
	config.send = XDP_SEND_AUTO;
	config.worker_cnt = 0;
	veth_queue_cnt = 1;
}

/* The queue by which a datagram from port comes, or -1: it comes by the kernel's socket; -2: by nothing. */
static int queue_of_port(struct lab *lab, uint16_t port)
{
	uint64_t end_ns = clock_monotonic_ns() + NS_PER_S;
	struct dgram dgram;

	far_port = port;
	far_send(lab, true, 0, 100);
	far_port = FAR_PORT;
	while (clock_monotonic_ns() < end_ns) {
		for (int i = 0; i < 2; i++)
			if (packet_rx_burst(net_xdp_queue_of(lab->xdp, 0, (unsigned)i)->rx, &dgram,
					    1))
				return i;
		if (packet_rx_burst(lab->rx, &dgram, 1))
			return -1;
	}
	return -2;
}

static void test_a_queue_unhooked_alone_leaves_the_others(void)
{
	int queues[32];
	unsigned second_cnt = 0;
	struct lab lab;

	veth_queue_cnt = 2;
	lab_open(&lab);
	CHECK_EQ(lab.device, 0);
	for (uint16_t i = 0; i < 32; i++) {
		queues[i] = queue_of_port(&lab, 4000 + i);
		CHECK(queues[i] >= 0);
		second_cnt += queues[i] == 1;
	}
	CHECK(second_cnt > 0 && second_cnt < 32);
	net_xdp_unhook_queue(lab.xdp, 0, 1);
	for (uint16_t i = 0; i < 32; i++)
		CHECK_EQ(queue_of_port(&lab, 4000 + i), queues[i] == 1 ? -1 : 0);
	lab_close(&lab);
	veth_queue_cnt = 1;
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
	RUN(test_datagrams_come_by_the_ring_with_their_addresses);
	RUN(test_unhooked_and_detached_devices_leave_datagrams_to_the_socket);
	RUN(test_sending_goes_by_the_ring_once_the_path_is_heard);
	RUN(test_starved_of_frames_it_loses_counts_and_recovers);
	RUN(test_each_worker_has_its_queues_frames_and_way_to_send);
	RUN(test_a_queue_unhooked_alone_leaves_the_others);
	RUN(test_two_devices_share_their_tables);
	RUN(test_bans_are_put_counted_reported_and_taken_back);
	RUN(test_paths_of_sessions_are_swept_when_they_expire_and_a_full_table_says_so);
	RUN(test_frames_larger_than_umem_frames_come_by_the_socket);
	RUN(test_generic_mode_delivers_too);
	RUN(test_plans_say_what_they_will_do);
	RUN(test_three_capabilities_are_enough_and_can_be_dropped);
	return check_done();
}
