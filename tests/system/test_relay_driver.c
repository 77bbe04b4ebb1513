/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay in front of two veth pairs, in a network namespace of its own.
 * Flows join ends of both families, by the driver and by userspace, while
 * devices come and go.
 *
 * 	end 0, AF_PACKET on veth1 -- veth0 10.77.0.1 fd77::1, XDP    the relay
 * 	end 1, AF_PACKET on veth3 -- veth2 10.78.0.1 fd78::1, XDP
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "net/packet_io.h"
#include "net/udp/udp_frame.h"
#include "net/xdp/xdp.h"
#include "relay/forward.h"
#include "relay/relay.h"
#include "support/check.h"

#define INNER_LEN 200
#define FRAME_CNT 256
#define DEV_CNT	  2
#define RATE	  10000000

static const char *const near_names[DEV_CNT] = {"veth0", "veth2"};
static const char *const far_names[DEV_CNT] = {"veth1", "veth3"};
/* By device, by is_ipv6. */
static const char *const local_texts[DEV_CNT][2] = {{"10.77.0.1:7000", "[fd77::1]:7000"},
						    {"10.78.0.1:7000", "[fd78::1]:7000"}};
static const char *const end_texts[DEV_CNT][2] = {{"10.77.0.2:4000", "[fd77::2]:4000"},
						  {"10.78.0.2:4000", "[fd78::2]:4000"}};

static struct {
	struct udp_config udp;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct xdp *xdp;
	struct xdp_worker *xdp_worker;
	struct ingress *ingress;
	struct relay_forward forward;
	struct relay *relay;
	struct node_key *key;
	struct random random;
	int far[DEV_CNT];
	bool is_attached;
} lab;

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void shell(const char *command)
{
	if (system(command) != 0) {
		printf("# failed: %s\n", command);
		abort();
	}
}

/* Frames that XDP sends by a veth arrive only where the other end has a program. */
static void pass_attach(const char *name)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 2},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);

	if (fd < 0 || bpf_xdp_attach((int)if_nametoindex(name), fd, XDP_FLAGS_DRV_MODE, NULL) < 0)
		abort();
	close(fd);
}

static void veths_make(void)
{
	for (unsigned i = 0; i < DEV_CNT; i++) {
		char command[800];

		snprintf(command, sizeof(command),
			 "ip link add %s address 02:00:00:00:00:0%u type veth peer name %s address "
			 "02:00:00:00:01:0%u && ip addr add 10.7%u.0.1/24 dev %s && ip addr add "
			 "fd7%u::1/64 dev %s nodad && ip neigh add 10.7%u.0.2 lladdr "
			 "02:00:00:00:01:0%u dev %s && ip link set %s up && ip link set %s up && "
			 "ip neigh add fd7%u::2 lladdr 02:00:00:00:01:0%u dev %s",
			 near_names[i], i, far_names[i], i, 7 + i, near_names[i], 7 + i,
			 near_names[i], 7 + i, i, near_names[i], near_names[i], far_names[i], 7 + i,
			 i, near_names[i]);
		shell(command);
		pass_attach(far_names[i]);
	}
}

static int far_open(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(0x0003), /* all */
				 .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, at.sll_protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		abort();
	return fd;
}

static void policy_set(void)
{
	const struct weft_bucket_rate free_rate = {1, NS_PER_S};
	struct weft_config policy = {.validated = free_rate, .samples = free_rate};
	struct addr locals[DEV_CNT * 2];

	for (unsigned i = 0; i < DEV_CNT * 2; i++)
		locals[i] = addr_of(local_texts[i / 2][i % 2]);
	if (net_xdp_set_config(lab.xdp, &policy) < 0 ||
	    net_xdp_set_locals(lab.xdp, locals, DEV_CNT * 2) < 0)
		abort();
	firewall_ingress_configure(lab.ingress, &policy);
}

static void each_queue(void (*fn)(struct xdp_worker *, struct xdp_queue *))
{
	struct xdp_queue *queue;

	for (unsigned device = 0; device < DEV_CNT; device++)
		for (unsigned i = 0; (queue = net_xdp_queue_of(lab.xdp, device, i)); i++)
			fn(lab.xdp_worker, queue);
}

static bool devices_attach(void)
{
	struct xdp_config config;
	struct xdp_device *device;
	char why[XDP_WHY_CAP];

	net_xdp_config_defaults(&config);
	config.frame_cnt = FRAME_CNT;
	for (unsigned i = 0; i < DEV_CNT; i++) {
		if (net_xdp_device_open(lab.xdp, &config, near_names[i], &device, why) < 0) {
			printf("# %s\n", why);
			return false;
		}
		if (net_xdp_take(lab.xdp, device) != (int)i)
			return false;
	}
	each_queue(net_xdp_worker_add);
	policy_set();
	return true;
}

static void devices_detach(void)
{
	each_queue(net_xdp_worker_remove);
	for (unsigned i = 0; i < DEV_CNT; i++)
		net_xdp_detach(lab.xdp, i);
}

static bool lab_open(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
	const struct xdp_params xdp = {.ctx = NULL};
	const struct ingress_params ingress = {.secret = {1, 2}, .session_cap = 64};
	struct relay_params params = {.random = &lab.random};
	const uint64_t secret[2] = {1, 2};
	unsigned failed_idx;

	memset(&lab, 0, sizeof(lab));
	veths_make();
	lab.udp.listen[0] = addr_of("0.0.0.0:7000");
	lab.udp.listen[1] = addr_of("[::]:7000");
	lab.udp.listen_cnt = 2;
	lab.udp.refuse_io_uring = true;
	random_init_seeded(&lab.random, 5);
	relay_config_defaults(&params.config);
	params.now_ns = clock_monotonic_ns();
	params.wall_s = clock_wall_s();
	if (node_key_from_seed(seed, &lab.key) < 0)
		return false;
	params.key = lab.key;
	if (net_udp_open(&lab.udp, &lab.rx, &lab.tx, &failed_idx) < 0 ||
	    net_xdp_new(&xdp, &lab.xdp) < 0 ||
	    net_xdp_worker_new(lab.tx, secret, &lab.xdp_worker) < 0 ||
	    firewall_ingress_new(&ingress, &lab.ingress) < 0 || relay_new(&params, &lab.relay) < 0)
		return false;
	net_xdp_set_relay(lab.xdp, relay_tables(lab.relay));
	firewall_ingress_set_relay(lab.ingress, relay_tables(lab.relay));
	relay_forward_init(&lab.forward, &lab.tx->sink);
	for (unsigned i = 0; i < DEV_CNT; i++)
		lab.far[i] = far_open(far_names[i]);
	return true;
}

static void lab_close(void)
{
	net_xdp_worker_free(lab.xdp_worker);
	net_xdp_free(lab.xdp);
	relay_free(lab.relay);
	firewall_ingress_free(lab.ingress);
	packet_tx_close(lab.tx);
	packet_rx_close(lab.rx);
	node_key_free(lab.key);
	for (unsigned i = 0; i < DEV_CNT; i++) {
		char command[64];

		close(lab.far[i]);
		snprintf(command, sizeof(command), "ip link del %s", near_names[i]);
		if (if_nametoindex(near_names[i]))
			shell(command);
	}
}

/* What a worker does with relayed datagrams of a receive side. */
static void userspace_turn(struct packet_rx *rx)
{
	struct demux_judge *judge = firewall_ingress_judge(lab.ingress);
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(rx, dgrams, PACKET_BURST_MAX);

	firewall_ingress_turn(lab.ingress, clock_monotonic_ns());
	for (unsigned i = 0; i < cnt; i++) {
		enum weft_reason reason = net_ingress_judge_dgram(judge, &dgrams[i]);

		(void)relay_forward_input(&lab.forward, &dgrams[i], &judge->tables->relay_way,
					  reason);
	}
	relay_forward_flush(&lab.forward);
	(void)packet_tx_flush(lab.tx);
}

static void turn(void)
{
	struct xdp_queue *queue;

	relay_turn(lab.relay, clock_monotonic_ns(), clock_wall_s());
	for (unsigned device = 0; device < DEV_CNT; device++)
		for (unsigned i = 0; (queue = net_xdp_queue_of(lab.xdp, device, i)); i++)
			userspace_turn(queue->rx);
	userspace_turn(lab.rx);
}

/* A flow between two ends, each by its device. */
struct way {
	struct relay_flow_id id;
	unsigned devices[2];
	bool is_ipv6[2];
};

static struct addr end_addr(const struct way *way, unsigned leg)
{
	struct addr addr = addr_of(end_texts[way->devices[leg]][way->is_ipv6[leg]]);

	/* Ends behind one device are apart by their ports. */
	addr.port = (uint16_t)(addr.port + leg);
	return addr;
}

static bool way_open(struct way *way, unsigned grant)
{
	static uint8_t owner[RELAY_KEY_LEN];
	const struct addr first = end_addr(way, 0);
	const struct relay_flow_terms terms = {
		.owner = owner, .addr = &first, .grant = grant, .mtu = 1300};

	owner[0]++;
	if (relay_flow_open(lab.relay, &terms, &way->id) < 0)
		return false;
	for (unsigned leg = 0; leg < 2; leg++) {
		struct addr remote = end_addr(way, leg);
		struct addr local = addr_of(local_texts[way->devices[leg]][way->is_ipv6[leg]]);

		if (relay_flow_set_leg(lab.relay, way->id, leg, &remote, &local) < 0)
			return false;
	}
	return true;
}

static void end_send(const struct way *way, unsigned leg, uint8_t number)
{
	unsigned device = way->devices[leg];
	bool is_ipv6 = way->is_ipv6[leg];
	const struct dgram_route route = {.local = end_addr(way, leg),
					  .remote = addr_of(local_texts[device][is_ipv6]),
					  .ecn = 1};
	struct link_header link = {
		.bytes = {2, 0, 0, 0, 0, (uint8_t)device, 2, 0, 0, 0, 1, (uint8_t)device},
		.len = 14};
	uint8_t data[WEFT_RELAY_LABEL_LEN + INNER_LEN], frame[400];
	struct weft_relay_label label;
	size_t len;

	memcpy(link.bytes + 12, is_ipv6 ? "\x86\xdd" : "\x08\x00", 2);
	memset(data, number, sizeof(data));
	data[WEFT_RELAY_LABEL_LEN] = 0x40;
	if (relay_flow_label(lab.relay, way->id, leg, &label) < 0)
		abort();
	memcpy(data, &label, sizeof(label));
	len = net_udp_frame_write(&(struct dgram_slot){frame, sizeof(frame)}, &link, &route, data,
				  sizeof(data));
	if (send(lab.far[device], frame, len, 0) != (ssize_t)len)
		abort();
}

/* What leg's end gets within a second, of number; others pass by. */
static bool end_hears(const struct way *way, unsigned leg, uint8_t number)
{
	uint64_t end_ns = clock_monotonic_ns() + NS_PER_S;
	const struct addr want = end_addr(way, leg);
	struct weft_relay_label label;
	uint8_t frame[2000];

	if (relay_flow_label(lab.relay, way->id, leg, &label) < 0)
		return false;
	label.head = weft_relay_head_of_kind(label.head, WEFT_RELAY_TO_END);
	while (clock_monotonic_ns() < end_ns) {
		struct dgram dgram;
		size_t link_len;
		ssize_t len;

		turn();
		len = recv(lab.far[way->devices[leg]], frame, sizeof(frame), 0);
		if (len < 0 || !net_udp_frame_parse(frame, (size_t)len, 0, &dgram, &link_len) ||
		    !addr_equal(&dgram.local, &want) ||
		    dgram.len != WEFT_RELAY_LABEL_LEN + INNER_LEN ||
		    dgram.data[dgram.len - 1] != number)
			continue;
		return memcmp(dgram.data, &label, sizeof(label)) == 0 && dgram.ecn == 1 &&
		       net_udp_frame_is_whole(&dgram, true);
	}
	return false;
}

static uint64_t driver_cnt(enum weft_reason reason)
{
	struct weft_counter counters[WEFT_REASON_CNT];

	net_xdp_counters(lab.xdp, counters);
	return counters[reason].packet_cnt;
}

/* First both ways by userspace until the links are learned, then by the driver alone. */
static void check_way(struct way *way)
{
	uint64_t relayed;

	CHECK(way_open(way, RELAY_NO_GRANT));
	end_send(way, 0, 1);
	CHECK(end_hears(way, 1, 1));
	CHECK(driver_cnt(WEFT_REASON_RELAY_SLOW) > 0);
	end_send(way, 1, 2);
	CHECK(end_hears(way, 0, 2));
	relayed = driver_cnt(WEFT_REASON_RELAYED);
	CHECK(relayed > 0); /* the first leg's link is known since its first datagram */
	for (unsigned i = 0; i < 4; i++) {
		end_send(way, i % 2, (uint8_t)(3 + i));
		CHECK(end_hears(way, i % 2 ^ 1, (uint8_t)(3 + i)));
	}
	CHECK_EQ(driver_cnt(WEFT_REASON_RELAYED), relayed + 4);
}

static void test_the_driver_forwards_between_families_and_devices(void)
{
	struct relay_flow_view view;

	CHECK(lab_open() && devices_attach());
	for (unsigned i = 0; i < 16; i++) {
		struct way way = {.devices = {i & 1, i >> 1 & 1},
				  .is_ipv6 = {i >> 2 & 1, i >> 3 & 1}};

		check_way(&way);
		CHECK_EQ(relay_flow_read(lab.relay, way.id, &view), 0);
		CHECK_EQ(view.packets[0], 3);
		CHECK_EQ(view.packets[1], 3);
		CHECK_EQ(view.bytes[0], 3 * ((way.is_ipv6[1] ? 40 : 20) + 8 + 16 + INNER_LEN));
	}
	lab_close();
}

/* Flows, credit and counts stay where they are when the tables become maps and back. */
static void test_flows_outlive_devices_that_come_and_go(void)
{
	struct way way = {.devices = {0, 1}, .is_ipv6 = {false, true}};
	struct relay_flow_view view;

	CHECK(lab_open());
	CHECK(way_open(&way, RELAY_NO_GRANT));
	for (unsigned round = 0; round < 3; round++) {
		uint8_t number = (uint8_t)(10 * round);

		end_send(&way, 0, number);
		CHECK(end_hears(&way, 1, number)); /* by the socket alone */
		CHECK(devices_attach());
		for (unsigned i = 1; i < 5; i++) {
			end_send(&way, i % 2, (uint8_t)(number + i));
			CHECK(end_hears(&way, i % 2 ^ 1, (uint8_t)(number + i)));
		}
		CHECK(driver_cnt(WEFT_REASON_RELAYED) >= 2);
		devices_detach();
		CHECK_EQ(relay_flow_read(lab.relay, way.id, &view), 0);
		CHECK_EQ(view.packets[0] + view.packets[1], 5 * (round + 1));
	}
	lab_close();
}

/* Every byte that the ends got is one of the grant's, whatever forwarded it. */
static void test_the_ledger_has_what_left(void)
{
	const struct relay_grant_terms terms = {.id = {1}, .per_s = RATE, .burst_len = RATE};
	struct way way = {.devices = {0, 1}, .is_ipv6 = {false, false}};
	uint64_t used = 0, heard = 0;
	int row;

	CHECK(lab_open());
	CHECK(devices_attach());
	row = relay_grant_open(lab.relay, &terms);
	CHECK(row > 0);
	CHECK(way_open(&way, (unsigned)row));
	turn();
	for (unsigned i = 0; i < 200; i++) {
		end_send(&way, i % 2, (uint8_t)i);
		heard += end_hears(&way, i % 2 ^ 1, (uint8_t)i);
	}
	CHECK_EQ(heard, 200);
	CHECK_EQ(relay_grant_used(lab.relay, (unsigned)row, &used), 0);
	CHECK_EQ(used, heard * (20 + 8 + 16 + INNER_LEN));
	lab_close();
}

static bool can_load(void)
{
	bool is_good;

	is_good = lab_open() && devices_attach();
	lab_close();
	return is_good;
}

int main(void)
{
	if (geteuid() != 0)
		SKIP_ALL("XDP needs root");
	if (unshare(CLONE_NEWNET) < 0)
		SKIP_ALL("no network namespace of our own");
	shell("ip link set lo up");
	if (!can_load())
		SKIP_ALL("the kernel does not take the program");
	RUN(test_the_driver_forwards_between_families_and_devices);
	RUN(test_flows_outlive_devices_that_come_and_go);
	RUN(test_the_ledger_has_what_left);
	return check_done();
}
