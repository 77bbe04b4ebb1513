/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to announce holders, and to find them. First 200 nodes of the overlay, simulated:
 * what a put and a search of one holder record ask of the network. Then a day of the daemon's own
 * announcer and some searches of its finder, over a table in place of the network. They have 10^3,
 * 10^5 and 10^7 files that are made up as they are asked for. Each put and search counts what was
 * measured before, and the bytes of its value at each node that takes or returns it. Beside it one
 * record per item, as without sets. The same on every machine; no figure is a pass or a fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "shares/announce/announce.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/announce_rules.h"
#include "mesh/seam.h"
#include "net/packet_io.h"
#include "support/announce_rig.h"
#include "support/overlay_lab.h"

#define NODES	  200
#define RECORDS	  60
#define FINDS	  200
#define SETTLE_NS (900 * NS_PER_S)
#define DAY_NS	  (86400 * NS_PER_S)
/* One record, told again at half its life. */
#define PUTS_A_DAY 2.0

static void die(const char *what)
{
	fprintf(stderr, "bench/announce: %s\n", what);
	exit(1);
}

/* --- what one put and one search ask of the network --- */

struct cost {
	double requests, bytes; /* bytes without the value, both ways */
	double nodes;		/* that take it, or tell it */
};
static struct cost put_cost, get_cost;
static double record_len;
static struct overlay_lab lab;

struct ask {
	bool is_done;
	struct overlay_result result;
	unsigned value_cnt;
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
	(void)value, (void)len, (void)claim;
	((struct ask *)arg)->value_cnt++;
}

static bool ask_is_done(void *arg)
{
	return ((const struct ask *)arg)->is_done;
}

static uint64_t traffic_of(const struct overlay_lab_node *node)
{
	return node->mesh->tx->counters.byte_cnt + node->mesh->rx->counters.byte_cnt;
}

static size_t record_write(const struct node_key *key, const uint8_t *id, uint8_t *out, size_t cap)
{
	struct holder holder = {
		.places = {.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
			   .addr_cnt = 1},
		.time_s = mesh_lab_wall_s(&lab.mesh),
	};
	struct writer w = writer_of(out, cap);

	memcpy(holder.id, id, sizeof(holder.id));
	writer_u8(&w, ANNOUNCE_CONTENT);
	shares_holder_record_write(&w, key, &holder);
	return writer_len(&w);
}

/* Puts a record (key not NULL) or looks for it, and adds what that took. */
static void lab_ask(const struct node_key *key, const uint8_t *id, struct cost *cost)
{
	struct overlay_lab_node *node = &lab.nodes[random_below(&lab.mesh.dice, NODES)];
	uint64_t requests = node->mesh->asked_cnt, bytes = traffic_of(node);
	uint8_t name[ANNOUNCE_NAME_CAP], value[1 + HOLDER_RECORD_LEN_MAX];
	size_t name_len = shares_announce_name_of_id(ANNOUNCE_CONTENT, id, name), len = 0;
	struct overlay_run *run;
	struct ask ask = {0};
	int err;

	if (key) {
		len = record_write(key, id, value, sizeof(value));
		record_len = (double)len;
		err = node->seam.ops->put(
			node->overlay,
			&(struct overlay_put_params){.value = {name, name_len, value, len},
						     .done = note_done,
						     .arg = &ask},
			lab.mesh.now_ns, &run);
	} else {
		err = node->seam.ops->get(node->overlay,
					  &(struct overlay_get_params){.name = name,
								       .name_len = name_len,
								       .tag = ANNOUNCE_CONTENT,
								       .value = note_value,
								       .done = note_done,
								       .arg = &ask},
					  lab.mesh.now_ns, &run);
	}
	if (err < 0)
		die("a run does not begin");
	node->mesh->due_ns = 0;
	if (!overlay_lab_run(&lab, 120 * NS_PER_S, ask_is_done, &ask))
		die("a run does not end");
	cost->requests += (double)(node->mesh->asked_cnt - requests) / RECORDS;
	cost->bytes += (double)(traffic_of(node) - bytes) / RECORDS;
	cost->nodes += (key ? ask.result.stored_cnt : ask.result.asked_cnt) / (double)RECORDS;
}

static void costs_measure(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};
	uint8_t ids[RECORDS][32];
	struct node_key *key;

	overlay_lab_init(&lab, 42, NODES, NULL);
	for (unsigned i = 0; i < NODES; i++) {
		struct overlay_lab_node *node = overlay_lab_add(&lab);

		overlay_lab_start(node, i ? &lab.nodes[random_below(&lab.mesh.dice, i)] : NULL);
		if (shares_announce_rules_add(&node->seam) < 0)
			die("the rules are not taken");
		(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
	(void)overlay_lab_run(&lab, SETTLE_NS, NULL, NULL);
	random_fill(&lab.mesh.dice, ids, sizeof(ids));
	if (node_key_from_seed(seed, &key) < 0)
		die("no key");
	for (unsigned i = 0; i < RECORDS; i++)
		lab_ask(key, ids[i], &put_cost);
	for (unsigned i = 0; i < RECORDS; i++)
		lab_ask(NULL, ids[i], &get_cost);
	/* Of those asked the 20 nearest hold it and tell it. */
	get_cost.nodes = put_cost.nodes;
	put_cost.bytes -= put_cost.nodes * record_len;
	get_cost.bytes -= get_cost.nodes * record_len;
	node_key_free(key);
	overlay_lab_fini(&lab);
	printf("%d nodes; a record of %.0f bytes lies with %.1f\n", NODES, record_len,
	       put_cost.nodes);
	printf("%-8s %10s %22s\n", "", "requests", "KiB without the value");
	printf("%-8s %10.1f %22.1f\n", "put", put_cost.requests, put_cost.bytes / 1024);
	printf("%-8s %10.1f %22.1f\n", "search", get_cost.requests, get_cost.bytes / 1024);
}

/* --- absent files: the first 64 bits of the n-th of cnt are n * 2^64 / cnt --- */

static uint64_t item_cnt;

static void item_id(uint64_t number, uint8_t id[static 32])
{
	struct writer w = writer_of(id, 32);

	writer_be64(&w, (uint64_t)(((unsigned __int128)number << 64) / item_cnt));
	memset(id + 8, (int)(number % 251), 24);
}

static void manifests_each(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	static const uint8_t id[32] = {0xaa, 0xbb};

	(void)ctx;
	(void)fn(arg, id);
}

static int look(void *ctx, const uint8_t id[static 32], struct held_manifest *out_manifest)
{
	(void)ctx, (void)id;
	*out_manifest = (struct held_manifest){true, true, .item_cnt = item_cnt};
	return 0;
}

static void *view_open(void *ctx, bool (*is_wanted)(void *arg, const uint8_t id[static 32]),
		       void *arg)
{
	(void)is_wanted, (void)arg;
	return ctx;
}

static int each(void *view, const uint8_t from[static 32],
		bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct cursor c = cursor_of(from, 8);
	unsigned __int128 at = (unsigned __int128)cursor_be64(&c) * item_cnt;
	uint64_t number = (uint64_t)(at >> 64) + ((uint64_t)at != 0);
	uint8_t id[32];

	(void)view;
	for (; number < item_cnt; number++) {
		item_id(number, id);
		if (!fn(arg, id))
			break;
	}
	return 0;
}

static void view_close(void *view)
{
	(void)view;
}

static const struct blobs_held_ops held_ops = {manifests_each, look, view_open, each, view_close};

/* --- a day of announcing, and searches at its end --- */

static struct announce_rig rig;

struct search {
	bool is_done;
	bool has_found;
};

static void search_found(void *arg, const struct mesh_peer *peer)
{
	(void)peer;
	((struct search *)arg)->has_found = true;
}

static void search_done(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	((struct search *)arg)->is_done = true;
}

/* Of all values, those that lie under one name: what each of its nodes tells. */
static double told_len(const uint8_t *name, size_t name_len)
{
	double len = 0;

	for (size_t i = 0; i < rig.fake.value_cnt; i++)
		if (rig.fake.values[i].name_len == name_len &&
		    memcmp(rig.fake.values[i].name, name, name_len) == 0)
			len += (double)rig.fake.values[i].len;
	return len;
}

/*
 * A new asker looks for random files of the node one after another. The regions of its
 * queries are those that no search before asked for.
 */
static void finds_run(unsigned cnt)
{
	static bool seen[2][4096];
	struct announce_rig other;
	double requests = 0, bytes = 0;
	unsigned found_cnt = 0;
	struct random dice;

	memset(seen, 0, sizeof(seen));
	random_init_seeded(&dice, 7);
	announce_rig_init(&other);
	other.config.scope = ANNOUNCE_OFF;
	/* It looks in the table that was filled. */
	other.fake = rig.fake;
	other.now_ns = rig.now_ns;
	node_key_free(other.key);
	if (node_key_generate(&other.key) < 0)
		die("no key");
	announce_rig_open(&other);
	for (unsigned i = 0; i < cnt; i++) {
		struct swarm_finder finder = shares_announce_finder(other.announce);
		static const unsigned depths[] = {8, 12};
		uint8_t id[32], name[ANNOUNCE_NAME_CAP];
		struct search search = {0};
		struct swarm_find asked = {FINDER_CONTENT, id, search_found, search_done, &search};
		unsigned get_cnt = other.fake.get_cnt;
		void *run;

		item_id(random_below(&dice, item_cnt), id);
		if (finder.ops->find(finder.ctx, &asked, other.now_ns, &run) < 0)
			die("a search does not begin");
		announce_rig_run(&other, NS_PER_S / 10);
		if (!search.is_done)
			die("a search does not end");
		found_cnt += search.has_found;
		get_cnt = other.fake.get_cnt - get_cnt;
		requests += get_cnt * get_cost.requests;
		bytes += get_cnt * get_cost.bytes;
		bytes += get_cost.nodes *
			 told_len(name, shares_announce_name_of_id(ANNOUNCE_CONTENT, id, name));
		for (unsigned at = 0; at < 2; at++) {
			uint32_t region = (uint32_t)(id[0] << 4 | id[1] >> 4) >> (12 - depths[at]);

			if (!seen[at][region])
				bytes += get_cost.nodes *
					 told_len(name, shares_announce_name_of_region(
								depths[at], region, name));
			seen[at][region] = true;
		}
	}
	printf("  %3u searches of one asker: %6.1f requests and %7.1f KiB each, %u found\n", cnt,
	       requests / cnt, bytes / cnt / 1024, found_cnt);
	/* The values are those of the rig. */
	rig.fake = other.fake;
	other.fake = (struct fake_overlay){0};
	announce_rig_fini(&other);
}

static void day_run(uint64_t cnt)
{
	static const char *const shapes[] = {"nothing", "records", "sets"};
	double requests, bytes, single_requests, single_bytes, cpu_s;
	struct announce_stats stats;
	clock_t began = clock();

	item_cnt = cnt;
	announce_rig_init(&rig);
	rig.held = (struct blobs_held){&held_ops, &rig};
	announce_rig_open(&rig);
	announce_rig_run(&rig, DAY_NS);
	cpu_s = (double)(clock() - began) / CLOCKS_PER_SEC;
	stats = announce_rig_stats(&rig);
	requests = (double)stats.put_cnt * put_cost.requests / (double)cnt;
	bytes = ((double)stats.put_cnt * put_cost.bytes + (double)stats.put_len * put_cost.nodes) /
		(double)cnt;
	single_requests = PUTS_A_DAY * put_cost.requests;
	single_bytes = PUTS_A_DAY * (put_cost.bytes + record_len * put_cost.nodes);
	printf("\n10^%d items, %s", cnt == 1000 ? 3 : cnt == 100000 ? 5 : 7, shapes[stats.shape]);
	printf(": %llu puts a day, %.1f KiB each; %.1f s of CPU, with signatures\n",
	       (unsigned long long)stats.put_cnt,
	       (double)stats.put_len / (double)stats.put_cnt / 1024, cpu_s);
	printf("  of an item in a day: %.5f requests, %.1f bytes; all of them %.0f requests\n",
	       requests, bytes, requests * (double)cnt);
	printf("  one record per item:  %.1f requests, %.0f bytes: %.0f and %.0f times as much\n",
	       single_requests, single_bytes, single_requests / requests, single_bytes / bytes);
	finds_run(1);
	finds_run(FINDS);
	announce_rig_fini(&rig);
}

int main(void)
{
	static const uint64_t cnts[] = {1000, 100000, 10000000};

	costs_measure();
	for (size_t i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++)
		day_run(cnts[i]);
	return 0;
}
