/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: time goes to the next thing that is due anywhere, every node
 * that has something to do is turned, in order of number.
 */
#include "support/sim.h"

#include <malloc.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread/poller.h"
#include "support/check.h"
#include "support/seed.h"
#include "support/sim_ports.h"
#include "support/sim_trace.h"

#define DGRAM_CAP 32768
/*
 * The clock moves in steps, as a loop that wakes for a batch does; without
 * them each datagram would be a turn of its own.
 */
#define STEP_NS	      (100 * 1000)
#define FD_CAP	      16384
#define TABLE_LEN     65536
#define HOUR_NS	      (3600 * NS_PER_S)
#define SHARE_TIME_NS (600 * NS_PER_S)

__attribute__((format(printf, 2, 3), noreturn)) static void bail(const struct sim *sim,
								 const char *fmt, ...)
{
	va_list args;

	printf("Bail out! simulator, SEED=%" PRIu64 ": ", sim->seed);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	exit(1);
}

/* --- life --- */

uint64_t sim_seed(uint64_t seed)
{
	return seed_of_run(seed);
}

/* A node has half a dozen files open. */
static void fds_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FD_CAP)
		return;
	limit.rlim_cur = limit.rlim_max < FD_CAP ? limit.rlim_max : FD_CAP;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static uint64_t clock_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static size_t rss_len(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t all_cnt, resident_cnt = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%zu %zu", &all_cnt, &resident_cnt) != 2)
		resident_cnt = 0;
	fclose(file);
	return resident_cnt * (size_t)sysconf(_SC_PAGESIZE);
}

void sim_init(struct sim *sim, uint64_t seed, const struct mem_link *link)
{
	memset(sim, 0, sizeof(*sim));
	sim->seed = seed;
	sim->now_ns = sim->begin_ns = HOUR_NS;
	sim->real_begin_ns = clock_of(CLOCK_MONOTONIC);
	sim->cpu_begin_ns = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	sim->rss_begin_len = rss_len();
	random_init_seeded(&sim->dice, seed);
	random_init_seeded(&sim->wire, seed + 1);
	sim_random_take(seed + 2);
	fds_raise();
	/* Zeroed by the kernel, a table costs no memory until it is used, and goes back with its node. */
	(void)mallopt(M_MMAP_THRESHOLD, TABLE_LEN);
	/* What nodes log about hostile or lost peers is what the tests are about. */
	log_init(getenv("SIM_LOG") ? LOG_DEBUG : LOG_ERROR);
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	scratch_make(sim->dir);
	if (net_mem_net_new(SIM_NODE_CAP + SIM_PORT_CAP, DGRAM_CAP, &sim->wire, &sim->net) < 0)
		bail(sim, "no network");
	net_mem_net_set_default_link(sim->net, link);
	net_mem_net_advance(sim->net, sim->now_ns);
	timer_wheel_init(&sim->timers, sim->now_ns);
	sim_trace_init(sim);
}

void sim_fini(struct sim *sim)
{
	if (check_failed)
		printf("# replay with SEED=%" PRIu64 "\n", sim->seed);
	if (sim->faults)
		faults_fini(sim->faults);
	for (unsigned i = 0; i < sim->node_cnt; i++) {
		node_free(sim->nodes[i].node);
		node_key_free(sim->nodes[i].key);
	}
	poller_free(sim->poller);
	net_mem_net_free(sim->net);
	sim_random_release();
	scratch_remove(sim->dir);
}

void sim_report(const struct sim *sim, const char *name)
{
	size_t len = rss_len();

	printf("# %s: seed %" PRIu64 ", %u nodes, %.1f s simulated in %.1f s (%.1f s of CPU), "
	       "%" PRIu64 " turns, %zu KiB for each node\n",
	       name, sim->seed, sim->node_cnt, (double)(sim->now_ns - sim->begin_ns) / NS_PER_S,
	       (double)(clock_of(CLOCK_MONOTONIC) - sim->real_begin_ns) / NS_PER_S,
	       (double)(clock_of(CLOCK_PROCESS_CPUTIME_ID) - sim->cpu_begin_ns) / NS_PER_S,
	       sim->turn_cnt,
	       len > sim->rss_begin_len ? (len - sim->rss_begin_len) / 1024 / sim->node_cnt : 0);
}

/* --- nodes --- */

/* The modules' own defaults with small tables, so that hundreds fit. */
static void config_init(struct node_config *config)
{
	relay_trust_config_defaults(&config->relay_trust);
	relay_end_config_defaults(&config->relay_end);
	relay_receipts_config_defaults(&config->relay_receipts);
	relay_slots_config_defaults(&config->relay_slots);
	punch_config_defaults(&config->punch);
	quic_config_defaults(&config->quic);
	mesh_config_defaults(&config->mesh);
	store_config_defaults(&config->store);
	blobs_config_defaults(&config->content);
	config->quic.conn_cap = 32;
	config->quic.stream_cap = 512;
	config->quic.heap_cap = 32 << 20;
	config->mesh.session_cap = 32;
	config->mesh.request_cap = 256;
	config->mesh.incoming_cap = 256;
	config->mesh.peer_cap = 64;
	config->store.map_len = 1 << 20;
	config->store.map_len_max = 256 << 20;
	config->store.segment_len_max = 16 << 20;
	config->store.reader_cap = 16;
	config->content.share_cap = 16;
	config->content.get_cap = 16;
	config->content.chunk_buffer_cnt = 16;
	config->job_cap = 256;
}

struct sim_node *sim_add(struct sim *sim)
{
	unsigned idx = sim->node_cnt;
	struct sim_node *node = &sim->nodes[idx];
	uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)idx, (uint8_t)(idx >> 8)};
	struct random random;

	if (idx == SIM_NODE_CAP)
		bail(sim, "more than %d nodes", SIM_NODE_CAP);
	random_init_seeded(&random, sim->seed ^ (uint64_t)(idx + 1) << 32);
	random_fill(&random, seed + 2, sizeof(seed) - 2);
	node->sim = sim;
	node->addr = (struct addr){.ip = {10, 0, (uint8_t)(idx >> 8), (uint8_t)idx},
				   .port = 7000,
				   .family = ADDR_IPV4};
	if (node_key_from_seed(seed, &node->key) < 0)
		bail(sim, "no key");
	config_init(&node->config);
	snprintf(node->state_dir, sizeof(node->state_dir), "%.180s/node%03u", sim->dir, idx);
	node->config.store.dir = node->state_dir;
	node->config.udp.listen[0] = node->addr;
	node->config.udp.listen_cnt = 1;
	sim->due_ns[idx] = UINT64_MAX;
	sim->node_cnt++;
	return node;
}

static unsigned idx_of(const struct sim_node *node)
{
	return (unsigned)(node - node->sim->nodes);
}

static uint64_t wall_s(const struct sim_node *node)
{
	const struct sim *sim = node->sim;
	uint64_t true_s = SIM_WALL_S + (sim->now_ns - sim->begin_ns) / NS_PER_S;

	return (uint64_t)((int64_t)true_s + node->wall_skew_s);
}

void sim_start(struct sim_node *node)
{
	struct sim *sim = node->sim;
	struct node_params params = {
		.config = &node->config,
		.key = node->key,
		.random = &node->random,
		.is_simulated = true,
		.has_locals = node->has_locals,
		.asks_address = node->asks_address,
		.now_ns = sim->now_ns,
		.wall_s = wall_s(node),
	};
	char what[NODE_WHAT_CAP];
	int err;

	if (node->ports)
		sim_ports_begin(node->ports, node, &params);
	random_init_seeded(&node->random, random_u64(&sim->dice));
	err = net_mem_net_attach(sim->net, &node->addr, &params.rx, &params.tx);
	if (err < 0)
		bail(sim, "no address: %s", weft_err_text(err));
	net_mem_net_set_group(sim->net, &node->addr, node->group);
	if (node->link)
		net_mem_net_set_link(sim->net, &node->addr, node->link);
	err = node_new(&params, &node->node, what);
	if (err < 0)
		bail(sim, "%s: %s", what, weft_err_text(err));
	node->rx = params.rx;
	net_mem_rx_tell(node->rx, &sim->is_reached[idx_of(node)]);
	sim->is_watched[idx_of(node)] = node->has_locals || node->ports;
	sim_wake(node);
	node->paused_until_ns = 0;
	node->start_cnt++;
}

void sim_crash(struct sim_node *node)
{
	node_crash(node->node);
	node->node = NULL;
	node->rx = NULL;
	node->sim->due_ns[idx_of(node)] = UINT64_MAX;
	node->sim->is_reached[idx_of(node)] = node->sim->is_watched[idx_of(node)] = false;
}

void sim_set_group(struct sim_node *node, unsigned group)
{
	node->group = group;
	if (node->node)
		net_mem_net_set_group(node->sim->net, &node->addr, group);
}

void sim_set_clock(struct sim_node *node, int64_t skew_s)
{
	node->wall_skew_s = skew_s;
	if (!node->node)
		return;
	node_set_wall(node->node, wall_s(node), node->sim->now_ns);
	sim_wake(node);
}

void sim_wake(struct sim_node *node)
{
	node->sim->due_ns[idx_of(node)] = node->sim->now_ns;
}

/* --- time --- */

/* By a local program. */
static bool is_called(const struct sim_node *node)
{
	return node->node && node->has_locals && node_is_called(node->node);
}

static uint64_t sim_next_ns(const struct sim *sim)
{
	uint64_t next_ns = net_mem_net_next_ns(sim->net);

	if (sim->guest && sim->guest->next_ns < next_ns)
		next_ns = sim->guest->next_ns;
	if (sim->faults && faults_next_ns(sim->faults) < next_ns)
		next_ns = faults_next_ns(sim->faults);
	if (timer_wheel_next_ns(&sim->timers) < next_ns)
		next_ns = timer_wheel_next_ns(&sim->timers);
	if (sim->poller && poller_is_ready(sim->poller))
		return sim->now_ns;
	for (unsigned i = 0; i < sim->node_cnt; i++) {
		if (sim->due_ns[i] < next_ns)
			next_ns = sim->due_ns[i];
		if (sim->is_watched[i] && sim->nodes[i].paused_until_ns <= sim->now_ns &&
		    is_called(&sim->nodes[i]))
			return sim->now_ns;
	}
	return next_ns;
}

/* Messages between local programs and nodes arrive at once, without an order of time. */
static void locals_turn(struct sim *sim)
{
	timer_wheel_expire(&sim->timers, sim->now_ns);
	if (sim->poller && poller_poll(sim->poller, sim->now_ns) < 0)
		bail(sim, "no events");
}

static void node_step(struct sim_node *node)
{
	struct sim *sim = node->sim;
	unsigned idx = idx_of(node);

	/* It has heard by the end of its pause what came meanwhile. */
	if (!node->node || node->paused_until_ns > sim->now_ns) {
		sim->due_ns[idx] = node->node ? node->paused_until_ns : UINT64_MAX;
		return;
	}
	if (sim->due_ns[idx] > sim->now_ns && !sim->is_reached[idx] && !is_called(node) &&
	    !sim_ports_are_waiting(node->ports))
		return;
	sim_ports_turn(node->ports, sim->now_ns);
	sim->due_ns[idx] =
		node_turn(node->node, sim->now_ns) ? sim->now_ns : node_next_ns(node->node);
	sim->is_reached[idx] = net_mem_rx_is_waiting(node->rx);
	sim->turn_cnt++;
}

static void sim_step(struct sim *sim)
{
	struct sim_guest *guest = sim->guest;

	net_mem_net_advance(sim->net, sim->now_ns);
	if (sim->faults)
		faults_turn(sim->faults, sim->now_ns);
	locals_turn(sim);
	if (guest && (guest->next_ns <= sim->now_ns || net_mem_rx_is_waiting(guest->rx)))
		guest->next_ns = guest->turn(guest, sim->now_ns);
	for (unsigned i = 0; i < sim->node_cnt; i++)
		if (sim->due_ns[i] <= sim->now_ns || sim->is_reached[i] || sim->is_watched[i])
			node_step(&sim->nodes[i]);
	sim_trace_turn(sim);
}

bool sim_run(struct sim *sim, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t end_ns = sim->now_ns + for_ns;

	while (!done || !done(arg)) {
		uint64_t next_ns = sim_next_ns(sim);

		if (next_ns >= end_ns) {
			sim->now_ns = end_ns;
			net_mem_net_advance(sim->net, end_ns);
			return done && done(arg);
		}
		/* At least one step on, for turns take time too. */
		if (next_ns <= sim->now_ns)
			next_ns = sim->now_ns + 1;
		sim->now_ns = (next_ns + STEP_NS - 1) / STEP_NS * STEP_NS;
		if (sim->now_ns > end_ns)
			sim->now_ns = end_ns;
		sim_step(sim);
	}
	return true;
}

/* --- faults --- */

static bool node_is_up(void *ctx, unsigned idx)
{
	return ((struct sim *)ctx)->nodes[idx].node != NULL;
}

static void node_crashes(void *ctx, unsigned idx)
{
	sim_crash(&((struct sim *)ctx)->nodes[idx]);
}

static void node_starts(void *ctx, unsigned idx)
{
	sim_start(&((struct sim *)ctx)->nodes[idx]);
}

static void node_pauses(void *ctx, unsigned idx, uint64_t until_ns)
{
	struct sim_node *node = &((struct sim *)ctx)->nodes[idx];

	if (until_ns > node->paused_until_ns)
		node->paused_ns += until_ns - (node->paused_until_ns > node->sim->now_ns
						       ? node->paused_until_ns
						       : node->sim->now_ns);
	node->paused_until_ns = until_ns;
	sim_wake(node);
}

static void node_clock_is_set(void *ctx, unsigned idx, int64_t skew_s)
{
	sim_set_clock(&((struct sim *)ctx)->nodes[idx], skew_s);
}

void sim_faults_begin(struct sim *sim, struct faults *faults, const struct fault_ranges *ranges,
		      uint64_t for_ns, unsigned spared_cnt)
{
	static const struct fault_ops ops = {.is_up = node_is_up,
					     .crash = node_crashes,
					     .start = node_starts,
					     .pause = node_pauses,
					     .set_clock = node_clock_is_set};
	const struct fault_params params = {
		.seed = sim->seed,
		.ranges = ranges,
		.net = sim->net,
		.ops = &ops,
		.ctx = sim,
		.for_ns = for_ns,
		.now_ns = sim->now_ns,
	};

	faults_begin(faults, &params);
	for (unsigned i = 0; i < sim->node_cnt; i++)
		faults_add(faults, &sim->nodes[i].addr, i < spared_cnt);
	sim->faults = faults;
}

/* --- what users do --- */

const char *sim_path(const struct sim *sim, const char *name)
{
	static char paths[4][2 * SCRATCH_CAP];
	static unsigned idx;

	idx = (idx + 1) % 4;
	return scratch_path(paths[idx], sizeof(paths[idx]), sim->dir, name);
}

struct share_outcome {
	bool is_done;
	int err;
	char detail[256];
	uint8_t manifest_id[32];
};

static void share_done(void *arg, int err, const struct blobs_import *import, const char *detail)
{
	struct share_outcome *outcome = arg;

	outcome->is_done = true;
	outcome->err = err;
	snprintf(outcome->detail, sizeof(outcome->detail), "%s", detail ? detail : "");
	memcpy(outcome->manifest_id, import->manifest_id, sizeof(outcome->manifest_id));
}

static bool share_is_done(void *arg)
{
	return ((struct share_outcome *)arg)->is_done;
}

void sim_share(struct sim_node *node, const char *path, struct link *out_link)
{
	struct share_outcome outcome = {0};
	struct blobs_share_ask ask = {.path = path, .done = share_done, .arg = &outcome};
	uint64_t id;
	int err = blobs_share_add(node_content(node->node), &ask, node->sim->now_ns, &id);

	sim_wake(node);
	if (err < 0)
		bail(node->sim, "share: %s", weft_err_text(err));
	if (!sim_run(node->sim, SHARE_TIME_NS, share_is_done, &outcome))
		bail(node->sim, "share: no end");
	if (outcome.err)
		bail(node->sim, "share: %s: %s", weft_err_text(outcome.err), outcome.detail);
	*out_link = (struct link){.kind = LINK_COLLECTION,
				  .places = {.addr_cnt = 1, .addrs = {node->addr}}};
	memcpy(out_link->manifest_id, outcome.manifest_id, sizeof(out_link->manifest_id));
	memcpy(out_link->node_key, node_key_public(node->key), sizeof(out_link->node_key));
}

uint64_t sim_get_start(struct sim_node *node, const struct link *link, const char *target)
{
	const struct blobs_get_ask ask = {.link = link, .target = target};
	uint64_t id;
	int err = blobs_get_start(node_content(node->node), &ask, node->sim->now_ns, &id);

	if (err < 0)
		bail(node->sim, "get: %s", weft_err_text(err));
	sim_wake(node);
	return id;
}

const struct blobs_get *sim_get(const struct sim_node *node, uint64_t id)
{
	return node->node ? blobs_get_lookup(node_content(node->node), id) : NULL;
}

struct get_wait {
	const struct sim_node *node;
	uint64_t id;
};

static bool get_has_ended(void *arg)
{
	const struct get_wait *wait = arg;
	const struct blobs_get *get = sim_get(wait->node, wait->id);

	return get && get->state >= BLOBS_GET_FINISHED;
}

const struct blobs_get *sim_get_run(struct sim_node *node, uint64_t id, uint64_t for_ns)
{
	struct get_wait wait = {node, id};

	(void)sim_run(node->sim, for_ns, get_has_ended, &wait);
	return sim_get(node, id);
}
