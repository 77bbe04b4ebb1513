/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to publish and to find a service in a simulated overlay of a thousand nodes:
 * requests, time, bytes. Real descriptors, judged by the rules of service/, over the overlay's own
 * code and a mesh without QUIC. A request to a new peer costs a round trip more. Packets take 20
 * to 100 ms one way, one in a hundred is lost and not sent again. Two rounds: a quiet overlay, and
 * one in which three nodes in ten are replaced each hour. The same on every machine; no figure is
 * a pass or a fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "net/packet_io.h"
#include "service/directory/descriptor.h"
#include "service/directory/descriptor_rules.h"
#include "support/overlay_lab.h"

#define NODES	     1000
#define REPLACED     (3 * NODES / 10)
#define SERVICES     100
#define FINDS	     500
#define SETTLE_NS    (900 * NS_PER_S)
#define HOUR_NS	     (3600 * NS_PER_S)
#define LIFE_S	     SERVICE_DESCRIPTOR_TTL_S_MAX
#define PUTS_AN_HOUR (2 * 2 * 3600 / LIFE_S) /* by name and by id, each again at half its life */

static struct overlay_lab lab;
static struct arena arena;
static struct service_rules rules;
static struct node_key *owners[SERVICES];

static void die(const char *what)
{
	fprintf(stderr, "bench/directory: %s\n", what);
	exit(1);
}

/* --- nodes --- */

static void node_start(const struct overlay_lab_node *bootstrap)
{
	struct overlay_lab_node *node = overlay_lab_add(&lab);

	overlay_lab_start(node, bootstrap);
	if (service_rules_add(&rules, &node->seam) < 0)
		die("the rules are not taken");
}

static struct overlay_lab_node *any_node(void)
{
	for (;;) {
		struct overlay_lab_node *node =
			&lab.nodes[random_below(&lab.mesh.dice, lab.node_cnt)];

		if (node->overlay)
			return node;
	}
}

static uint64_t traffic_of(const struct overlay_lab_node *node)
{
	return node->mesh->tx->counters.byte_cnt + node->mesh->rx->counters.byte_cnt;
}

/* --- samples --- */

struct samples {
	double values[FINDS];
	unsigned cnt;
};

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double share_of(struct samples *samples, unsigned percent)
{
	qsort(samples->values, samples->cnt, sizeof(double), double_compare);
	return samples->cnt ? samples->values[(samples->cnt - 1) * percent / 100] : 0;
}

static void sample(struct samples *samples, double value)
{
	samples->values[samples->cnt++] = value;
}

/* --- one put or find --- */

struct ask {
	bool is_done;
	struct overlay_result result;
	unsigned value_cnt;
	uint64_t first_ns; /* when the first value came */
	size_t value_len;
};

static void note_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct ask *ask = arg;

	(void)now_ns;
	ask->is_done = true;
	ask->result = *result;
}

static void note_value(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct ask *ask = arg;

	(void)value;
	(void)claim;
	if (!ask->value_cnt++)
		ask->first_ns = lab.mesh.now_ns;
	ask->value_len = len;
}

static bool is_done(void *arg)
{
	return ((const struct ask *)arg)->is_done;
}

struct cost {
	struct samples requests, dials, ms, first_ms, bytes;
	unsigned stored_cnt, found_cnt, cnt;
};

static void run_ask(struct overlay_lab_node *node, struct ask *ask, struct cost *cost,
		    uint64_t requests, uint64_t dials, uint64_t bytes)
{
	uint64_t began_ns = lab.mesh.now_ns;

	node->mesh->due_ns = 0;
	if (!overlay_lab_run(&lab, 120 * NS_PER_S, is_done, ask))
		die("a run does not end");
	cost->cnt++;
	cost->found_cnt += ask->value_cnt > 0;
	cost->stored_cnt += ask->result.stored_cnt;
	sample(&cost->requests, (double)(node->mesh->asked_cnt - requests));
	sample(&cost->dials, (double)(node->mesh->dial_cnt - dials));
	sample(&cost->bytes, (double)(traffic_of(node) - bytes));
	sample(&cost->ms, (double)ask->result.took_ns / 1e6);
	if (ask->value_cnt)
		sample(&cost->first_ms, (double)(ask->first_ns - began_ns) / 1e6);
}

static size_t descriptor_write(unsigned number, uint8_t *out, size_t cap)
{
	struct service_descriptor descriptor = {
		.version = "1.0.0",
		.places = {.addr_cnt = 1},
		.metadata_cnt = 1,
		.metadata = {{"kind", "http", 4, 4}},
		.created_s = mesh_lab_wall_s(&lab.mesh),
		.expires_s = mesh_lab_wall_s(&lab.mesh) + LIFE_S,
		.seq = mesh_lab_wall_s(&lab.mesh),
	};
	struct writer w = writer_of(out, cap);

	snprintf(descriptor.name, sizeof(descriptor.name), "service-%u", number);
	descriptor.places.addrs[0] = lab.nodes[number].mesh->addr;
	writer_u8(&w, SERVICE_TAG_BY_NAME);
	if (service_descriptor_write(&w, owners[number], &descriptor) != SERVICE_FINE || w.bad)
		die("a descriptor cannot be written");
	return writer_len(&w);
}

static void service_put(unsigned number, struct cost *cost)
{
	struct overlay_lab_node *node = any_node();
	uint8_t value[1024];
	char service[SERVICE_NAME_LEN_MAX], name[SERVICE_VALUE_NAME_CAP];
	size_t len = descriptor_write(number, value, sizeof(value));
	uint64_t requests = node->mesh->asked_cnt, dials = node->mesh->dial_cnt;
	struct overlay_run *run;
	struct ask ask = {0};

	snprintf(service, sizeof(service), "service-%u", number);
	if (node->seam.ops->put(
		    node->overlay,
		    &(struct overlay_put_params){
			    .value = {name, service_value_name(service, name), value, len},
			    .done = note_done,
			    .arg = &ask},
		    lab.mesh.now_ns, &run) < 0)
		die("a descriptor cannot be put");
	run_ask(node, &ask, cost, requests, dials, traffic_of(node));
}

static void service_get(unsigned number, struct cost *cost)
{
	struct overlay_lab_node *node = any_node();
	char service[SERVICE_NAME_LEN_MAX], name[SERVICE_VALUE_NAME_CAP];
	uint64_t requests = node->mesh->asked_cnt, dials = node->mesh->dial_cnt;
	struct overlay_run *run;
	struct ask ask = {0};

	snprintf(service, sizeof(service), "service-%u", number);
	if (node->seam.ops->get(
		    node->overlay,
		    &(struct overlay_get_params){.name = name,
						 .name_len = service_value_name(service, name),
						 .tag = SERVICE_TAG_BY_NAME,
						 .value = note_value,
						 .done = note_done,
						 .arg = &ask},
		    lab.mesh.now_ns, &run) < 0)
		die("a service cannot be looked for");
	run_ask(node, &ask, cost, requests, dials, traffic_of(node));
}

static void owner_make(unsigned number)
{
	uint8_t seed[NODE_KEY_SEED_LEN];

	random_fill(&lab.mesh.dice, seed, sizeof(seed));
	if (node_key_from_seed(seed, &owners[number]) < 0)
		die("no key");
}

/* --- rounds --- */

static void print_cost(const char *what, struct cost *cost)
{
	printf("%-22s %8.0f %8.0f %8.0f %8.0f %8.0f %8.1f\n", what, share_of(&cost->requests, 50),
	       share_of(&cost->requests, 95), share_of(&cost->dials, 50), share_of(&cost->ms, 50),
	       share_of(&cost->ms, 95), share_of(&cost->bytes, 50) / 1024);
}

static void replace_some(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		overlay_lab_stop(any_node());
		node_start(any_node());
		(void)overlay_lab_run(&lab, HOUR_NS / REPLACED, NULL, NULL);
	}
}

static uint64_t requests_of_all(void)
{
	uint64_t cnt = 0;

	for (unsigned i = 0; i < lab.node_cnt; i++)
		if (lab.nodes[i].overlay)
			cnt += overlay_lab_stats(&lab.nodes[i]).sent_cnt;
	return cnt;
}

/* Services are put, half a life goes by, and they are looked for. */
static void round_run(const char *what, unsigned replaced_cnt)
{
	static struct cost puts, gets;
	uint64_t began_ns, before;

	memset(&puts, 0, sizeof(puts));
	memset(&gets, 0, sizeof(gets));
	for (unsigned i = 0; i < SERVICES; i++)
		service_put(i, &puts);
	began_ns = lab.mesh.now_ns;
	before = requests_of_all();
	if (replaced_cnt)
		replace_some(replaced_cnt);
	else
		(void)overlay_lab_run(&lab, HOUR_NS / 2, NULL, NULL);
	if (!replaced_cnt)
		printf("upkeep of a node: %.0f requests an hour\n",
		       (double)(requests_of_all() - before) * HOUR_NS /
			       (double)(lab.mesh.now_ns - began_ns) / NODES);
	for (unsigned i = 0; i < FINDS; i++)
		service_get(i % SERVICES, &gets);
	printf("\n%s: a descriptor lies with %.1f nodes, and is found by %.1f %%\n", what,
	       (double)puts.stored_cnt / puts.cnt, 100.0 * gets.found_cnt / gets.cnt);
	printf("%-22s %8s %8s %8s %8s %8s %8s\n", "", "requests", "p95", "dials", "ms", "p95",
	       "KiB");
	print_cost("find, to its end", &gets);
	printf("%-22s %8s %8s %8s %8.0f %8.0f\n", "find, first provider", "", "", "",
	       share_of(&gets.first_ms, 50), share_of(&gets.first_ms, 95));
	print_cost("put", &puts);
	printf("a descriptor costs its publisher %.0f requests and %.0f KiB an hour\n",
	       share_of(&puts.requests, 50) * PUTS_AN_HOUR,
	       share_of(&puts.bytes, 50) * PUTS_AN_HOUR / 1024);
}

int main(void)
{
	const char *seed = getenv("SEED");
	uint8_t value[1024];

	if (arena_open(&arena, ARENA_GROWS) < 0 || service_rules_init(&rules, &arena) < 0)
		die("no memory");
	overlay_lab_init(&lab, seed ? strtoull(seed, NULL, 0) : 42, NODES + 2 * REPLACED, NULL);
	for (unsigned i = 0; i < NODES; i++) {
		node_start(i ? &lab.nodes[random_below(&lab.mesh.dice, i)] : NULL);
		(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
	for (unsigned i = 0; i < SERVICES; i++)
		owner_make(i);
	(void)overlay_lab_run(&lab, SETTLE_NS, NULL, NULL);
	printf("%d nodes; a descriptor has %zu bytes\n", NODES,
	       descriptor_write(0, value, sizeof(value)));
	round_run("quiet", 0);
	round_run("30 % replaced an hour, after half of one", REPLACED / 2);
	for (unsigned i = 0; i < SERVICES; i++)
		node_key_free(owners[i]);
	overlay_lab_fini(&lab);
	arena_close(&arena);
	return 0;
}
