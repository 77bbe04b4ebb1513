/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SERVICES_RIG_H
#define WEFT_TESTS_SERVICES_RIG_H

#include <stdarg.h>
#include <stddef.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "node/fabric/fabric.h"
#include "node/node_state.h"
#include "api/http/web_routes.h"
#include "service/directory/directory.h"
#include "service/service.h"
#include "support/check.h"
#include "support/converge.h"
#include "support/sim.h"
#include "support/sim_local.h"

/* Nodes, some of which offer a program's service, and the record of what its runs did. */

#define PROVIDERS  3 /* the first nodes; node 0 does not crash */
#define NODES	   8
#define CALLERS	   (NODES - PROVIDERS)
#define JOBS	   300
#define ATTEMPTS   4 /* of a job with an idempotency key */
#define FAULTS_NS  (300 * NS_PER_S)
#define TIMEOUT_NS (10 * NS_PER_S)
#define LATE_NS	   (100 * NS_PER_MS) /* a turn and a batch after a deadline */
#define PROBE_NS   (500 * NS_PER_MS)
/* Of a provider: calls are good again within this, which is a second and a lost datagram. */
#define RETURN_NS (1500 * NS_PER_MS)
/*
 * Calls that time out one after the other open a circuit. Then no caller asks, and the next
 * keep-alive shows that the session belongs to a node's former life.
 */
#define SILENCE_NS	(4 * TIMEOUT_NS)
#define KEEPALIVE_NS	(20 * NS_PER_S)
#define CONVERGED_NS	(120 * NS_PER_S)
#define KEPT_NS		(FAULTS_NS + 100 * NS_PER_S)
#define CIRCUIT_REST_NS (20 * NS_PER_S)

static const struct mem_link fair = {.delay_ns = 20 * NS_PER_MS};

static struct sim sim;
static struct faults faults;

/* --- programs --- */

static struct sim_program programs[PROVIDERS];
static struct timer program_timers[PROVIDERS]; /* when it dies or is started again */
static bool is_calm;			       /* programs do nothing wrong any more */
static unsigned run_cnt;

/* What ran of a job at a provider. */
struct job_run {
	unsigned cnt;	    /* in all */
	unsigned start;	    /* of its node: the last one's */
	unsigned again_cnt; /* runs beyond the first in one start */
	unsigned told;	    /* the number of the run that the caller got, in that start */
	unsigned told_start;
};

struct attempt {
	struct job *job;
	unsigned caller_start;
	uint64_t deadline_ns, paused_before_ns;
	bool is_under_way;
	unsigned told_cnt;
	struct sim_web web;
};

static struct job {
	unsigned caller;
	bool is_keyed, is_web;
	unsigned attempt_cnt;
	struct attempt attempts[ATTEMPTS];
	struct job_run runs[PROVIDERS];
} jobs[JOBS];
static unsigned job_cnt;

/* What no test may see; the first of them is told. */
static struct {
	unsigned cnt;
	char what[160];
} wrong;

static unsigned ok_cnt, failed_cnt, web_ok_cnt, repeated_cnt;

__attribute__((format(printf, 1, 2))) static void note_wrong(const char *fmt, ...)
{
	va_list args;

	if (wrong.cnt++)
		return;
	va_start(args, fmt);
	vsnprintf(wrong.what, sizeof(wrong.what), fmt, args);
	va_end(args);
}

static inline unsigned number_in(const char *json, const char *name)
{
	const char *at = strstr(json, name);

	return at ? (unsigned)strtoul(at + strlen(name) + strspn(at + strlen(name), "\":"), NULL,
				      10)
		  : UINT32_MAX;
}

static inline uint64_t serve(void *arg, const char *parameters, char reply[static SIM_TEXT_CAP])
{
	const struct sim_program *program = arg;
	unsigned provider = (unsigned)(program - programs);
	unsigned number = number_in(strstr(parameters, "\"json\""), "\"n\"");
	unsigned start = sim.nodes[provider].start_cnt;
	uint64_t dice = random_below(&sim.dice, 100);

	run_cnt++;
	snprintf(reply, SIM_TEXT_CAP, "{\"n\":%u,\"run\":%u,\"by\":%u}", number, run_cnt, provider);
	if (number < JOBS) {
		struct job_run *run = &jobs[number].runs[provider];

		run->again_cnt += run->cnt && run->start == start;
		run->start = start;
		run->cnt++;
	}
	if (is_calm)
		return NS_PER_MS;
	if (dice < 3)
		return UINT64_MAX;
	return dice < 10 ? random_below(&sim.dice, 20 * NS_PER_S)
			 : random_below(&sim.dice, 50 * NS_PER_MS);
}

static inline void program_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct sim_program *program = &programs[timer - program_timers];
	bool is_up = program->listener.fd >= 0;

	if (is_up)
		sim_program_kill(program);
	else
		sim_program_start(program);
	timer_set(&sim.timers, timer,
		  now_ns + random_below(&sim.dice, (is_up ? 10 : 100) * NS_PER_S));
}

/* --- the network --- */

static inline void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)err, (void)actual_key;
}

static inline struct service *service_of(unsigned i)
{
	return node_fabric_service(node_fabric(sim.nodes[i].node));
}

static inline struct sim_node *node_add(void)
{
	struct sim_node *node = sim_add(&sim);
	unsigned idx = sim.node_cnt;
	struct service_limits *limits = &node->config.fabric.service.limits;

	/* Each in a subnet of its own: tables take few from one. */
	node->addr.ip[2] = (uint8_t)idx;
	node->addr.ip[3] = 1;
	node->config.udp.listen[0] = node->addr;
	config_fabric_defaults(&node->config.fabric);
	snprintf(node->config.fabric.builtin_names, sizeof(node->config.fabric.builtin_names),
		 "mesh-stats");
	node->config.fabric.overlay.serve = OVERLAY_SERVE_ON;
	limits->calls_per_min = limits->peer_calls_per_min = 1000000;
	limits->lookups_per_min = limits->fetches_per_min = 100000;
	limits->idempotency_ns = KEPT_NS;
	limits->circuit_rest_ns = CIRCUIT_REST_NS;
	sim_has_locals(node, "ledger");
	node->config.web.timeout_ns = TIMEOUT_NS;
	return node;
}

static inline void node_connect(unsigned from, unsigned to)
{
	struct mesh_peer peer = {.addr_cnt = 1, .addrs = &sim.nodes[to].addr, .is_chosen = true};

	memcpy(peer.key, node_key_public(sim.nodes[to].key), sizeof(peer.key));
	sim_wake(&sim.nodes[from]);
	if (mesh_connect(node_mesh(sim.nodes[from].node),
			 &(struct mesh_connect){.peer = &peer,
						.timeout_ns = 30 * NS_PER_S,
						.done = connect_done,
						.arg = NULL},
			 sim.now_ns) < 0)
		abort();
}

static inline void network_init(unsigned node_cnt, unsigned provider_cnt)
{
	memset(jobs, 0, sizeof(jobs));
	memset(&wrong, 0, sizeof(wrong));
	job_cnt = run_cnt = ok_cnt = failed_cnt = web_ok_cnt = repeated_cnt = 0;
	is_calm = true;
	sim_init(&sim, sim_seed(1), &fair);
	for (unsigned i = 0; i < node_cnt; i++) {
		sim_start(node_add());
		/* By hand: what descriptors of unknown peers say is dialled once an hour (mesh/peers/unverified.h). */
		for (unsigned j = 0; j < i && j < PROVIDERS; j++)
			node_connect(i, j);
		sim_run(&sim, NS_PER_S, NULL, NULL);
	}
	for (unsigned i = 0; i < provider_cnt; i++) {
		char name[16];

		snprintf(name, sizeof(name), "program%u", i);
		sim_program_init(&programs[i], &sim, name);
		programs[i].serve = serve;
		programs[i].arg = &programs[i];
		sim_program_start(&programs[i]);
		sim_program_offer(&programs[i], &sim.nodes[i], "ledger");
	}
	sim_run(&sim, 30 * NS_PER_S, NULL, NULL);
}

static inline void network_fini(unsigned provider_cnt)
{
	for (unsigned i = 0; i < provider_cnt; i++) {
		timer_cancel(&sim.timers, &program_timers[i]);
		sim_program_kill(&programs[i]);
	}
	sim_fini(&sim);
}

#endif
