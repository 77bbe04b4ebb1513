/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core converges after faults stop. Nodes of the overlay, of the DHT, and whole nodes that
 * fetch run under the faults of the seed. Then a core of them is well, and faults of the
 * others stay. Within a bound of virtual time the core finds and has everything.
 */
#include "base/monotonic.h"
#include "dht/items/item.h"
#include "support/check.h"
#include "support/converge.h"
#include "support/dht_lab.h"
#include "support/overlay_lab.h"
#include "support/seed.h"
#include "support/sim.h"

#define NODES	    30
#define CORE_MIN    (NODES / 2)
#define FAULTS_NS   (600 * NS_PER_S)
#define LOOK_NS	    (5 * NS_PER_S)
#define CONVERGE_NS (300 * NS_PER_S)

static struct faults faults;

/* --- the overlay --- */

static struct overlay_lab overlay;

static bool overlay_is_up(void *ctx, unsigned node)
{
	(void)ctx;
	return overlay.nodes[node].overlay != NULL;
}

static void overlay_crash(void *ctx, unsigned node)
{
	(void)ctx;
	overlay_lab_stop(&overlay.nodes[node]);
}

static void overlay_starts(void *ctx, unsigned node)
{
	(void)ctx;
	overlay_lab_start(&overlay.nodes[node], &overlay.nodes[0]);
}

static bool overlay_finds(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	static struct overlay_lab_result result;

	(void)arg;
	if (!faults_is_core(&faults, part))
		return true;
	if (overlay_lab_get(&overlay, &overlay.nodes[part], "lab:1", &result) < 0)
		return false;
	snprintf(why, CONVERGE_WHY_CAP, "it asked %u nodes and found %u values",
		 result.result.asked_cnt, result.value_cnt);
	return result.value_cnt == 1;
}

static bool overlay_run(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return overlay_lab_run(world, for_ns, done, arg);
}

static void faults_play(uint64_t *now_ns,
			bool (*run)(void *world, uint64_t, bool (*)(void *), void *), void *world)
{
	uint64_t end_ns = *now_ns + FAULTS_NS;

	while (*now_ns < end_ns) {
		uint64_t next_ns = faults_next_ns(&faults);

		faults_turn(&faults, *now_ns);
		next_ns = faults_next_ns(&faults);
		if (next_ns > end_ns)
			next_ns = end_ns;
		(void)run(world, next_ns > *now_ns ? next_ns - *now_ns : NS_PER_MS, NULL, NULL);
	}
}

static void test_a_core_of_the_overlay_finds_what_is_put_after_faults(void)
{
	static const struct fault_ops ops = {
		.is_up = overlay_is_up, .crash = overlay_crash, .start = overlay_starts};
	static struct overlay_lab_result put;
	struct overlay_lab_value value = {.writer = 1, .seq = 1};
	struct fault_params params = {
		.ranges = &fault_ranges_wide, .ops = &ops, .for_ns = FAULTS_NS};
	const struct converge ask = {
		.what = "every node of the core finds the value",
		.part_cnt = NODES,
		.part_name = "node",
		.holds = overlay_finds,
		.within_ns = CONVERGE_NS,
		.run = overlay_run,
		.world = &overlay,
		.look_ns = LOOK_NS,
	};
	uint64_t took_ns;

	overlay_lab_init(&overlay, seed_of_run(1), NODES, NULL);
	overlay_lab_grow(&overlay, NODES, NS_PER_S);
	params.seed = overlay.mesh.seed;
	params.net = overlay.mesh.mem;
	params.now_ns = overlay.mesh.now_ns;
	faults_begin(&faults, &params);
	for (unsigned i = 0; i < NODES; i++)
		faults_add(&faults, &overlay.nodes[i].mesh->addr, i == 0);
	faults_play(&overlay.mesh.now_ns, overlay_run, &overlay);
	(void)faults_stop(&faults, CORE_MIN, overlay.mesh.now_ns);
	faults_report(&faults);
	value.created_s = mesh_lab_wall_s(&overlay.mesh);
	value.expires_s = value.created_s + 86400;
	CHECK_EQ(overlay_lab_put(&overlay, &overlay.nodes[0], "lab:1", &value, &put), 0);
	CHECK(converge(&ask, &overlay.mesh.now_ns, &took_ns));
	printf("# overlay: a core finds it after %.1f s\n", (double)took_ns / NS_PER_S);
	faults_fini(&faults);
	overlay_lab_fini(&overlay);
}

/* --- whole nodes that fetch --- */

#define GETTERS 8
#define FILES	14

static struct sim sim;
static uint64_t gets[1 + GETTERS];

static bool sim_passes(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return sim_run(world, for_ns, done, arg);
}

/* The user's remedy for a get that stopped because no source was there. */
static bool has_all(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	const struct blobs_get *get = part ? sim_get(&sim.nodes[part], gets[part]) : NULL;

	(void)arg;
	if (!part || !faults_is_core(&faults, part))
		return true;
	if (!get) {
		snprintf(why, CONVERGE_WHY_CAP, "its get is lost");
		return false;
	}
	snprintf(why, CONVERGE_WHY_CAP, "state %d, %llu of %llu bytes", (int)get->state,
		 (unsigned long long)get->byte_done_cnt, (unsigned long long)get->byte_cnt);
	if (get->state == BLOBS_GET_STOPPED &&
	    blobs_get_resume(node_content(sim.nodes[part].node), gets[part], sim.now_ns) == 0)
		sim_wake(&sim.nodes[part]);
	return get->state == BLOBS_GET_FINISHED;
}

static const char *target_of(unsigned idx)
{
	char name[16];

	snprintf(name, sizeof(name), "out%02u", idx);
	return sim_path(&sim, name);
}

static void test_a_core_of_a_swarm_has_everything_after_faults(void)
{
	static const struct mem_link fair = {.delay_ns = 20 * NS_PER_MS};
	const struct converge ask = {
		.what = "every node of the core has the collection",
		.part_cnt = 1 + GETTERS,
		.part_name = "node",
		.holds = has_all,
		.within_ns = CONVERGE_NS,
		.run = sim_passes,
		.world = &sim,
		.look_ns = LOOK_NS,
	};
	struct link link;
	uint64_t took_ns;

	sim_init(&sim, sim_seed(1), &fair);
	for (unsigned i = 0; i <= GETTERS; i++)
		sim_start(sim_add(&sim));
	sim_tree_make(&sim.dice, sim_path(&sim, "in"), FILES);
	sim_share(&sim.nodes[0], sim_path(&sim, "in"), &link);
	for (unsigned i = 1; i <= GETTERS; i++)
		gets[i] = sim_get_start(&sim.nodes[i], &link, target_of(i));
	/* A get is acknowledged when it is durable: one turn later. */
	sim_run(&sim, 100 * NS_PER_MS, NULL, NULL);
	sim_faults_begin(&sim, &faults, &fault_ranges_wide, FAULTS_NS / 10, 1);
	sim_run(&sim, FAULTS_NS / 10, NULL, NULL);
	(void)faults_stop(&faults, 1 + GETTERS / 2, sim.now_ns);
	faults_report(&faults);
	CHECK(converge(&ask, &sim.now_ns, &took_ns));
	for (unsigned i = 1; i <= GETTERS; i++)
		if (faults_is_core(&faults, i))
			CHECK(sim_tree_equal(sim_path(&sim, "in"), target_of(i)));
	printf("# swarm: a core has it after %.1f s\n", (double)took_ns / NS_PER_S);
	sim_fini(&sim);
}

/* --- the DHT --- */

static struct dht_lab dht;
static struct dht_item record;

static bool dht_is_up(void *ctx, unsigned node)
{
	(void)ctx;
	return dht.nodes[node].dht != NULL;
}

static void dht_crash(void *ctx, unsigned node)
{
	(void)ctx;
	dht_lab_stop(&dht.nodes[node]);
}

static void dht_starts(void *ctx, unsigned node)
{
	(void)ctx;
	dht_lab_start(&dht.nodes[node], &dht.nodes[0]);
}

static bool dht_run(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return dht_lab_run(world, for_ns, done, arg);
}

static bool dht_finds(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	static struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);
	struct dht_get_params get = {.key = record.key};

	(void)arg;
	if (!faults_is_core(&faults, part))
		return true;
	dht_item_target(&record, &get.target);
	if (!dht_get(dht.nodes[part].dht, &get, &asker, dht.now_ns) ||
	    !dht_lab_wait(&dht, &result, 60 * NS_PER_S))
		return false;
	snprintf(why, CONVERGE_WHY_CAP, "it asked %u nodes: %s", result.outcome.asked_cnt,
		 weft_err_text(result.outcome.err));
	return result.value_len == record.value_len;
}

static void test_a_core_of_the_dht_finds_what_is_put_after_faults(void)
{
	static const struct fault_ops ops = {
		.is_up = dht_is_up, .crash = dht_crash, .start = dht_starts};
	static const uint8_t key_seed[NODE_KEY_SEED_LEN] = {9};
	static uint8_t sig[NODE_KEY_SIG_LEN];
	struct dht_put_params put = {.item = &record, .is_kept = true};
	struct fault_params params = {
		.ranges = &fault_ranges_wide, .ops = &ops, .for_ns = FAULTS_NS};
	const struct converge ask = {
		.what = "every node of the core finds the record",
		.part_cnt = NODES,
		.part_name = "node",
		.holds = dht_finds,
		.within_ns = CONVERGE_NS,
		.run = dht_run,
		.world = &dht,
		.look_ns = LOOK_NS,
	};
	struct dht_lab_result kept;
	struct dht_asker asker = dht_lab_asker(&kept);
	struct node_key *owner;
	uint64_t took_ns;

	CHECK_EQ(node_key_from_seed(key_seed, &owner), 0);
	record = (struct dht_item){.key = node_key_public(owner),
				   .sig = sig,
				   .value = (const uint8_t *)"4:here",
				   .value_len = 6,
				   .seq = 1};
	dht_item_sign(&record, owner, sig);
	dht_lab_init(&dht, seed_of_run(1), NODES);
	dht_lab_grow(&dht, NODES, NS_PER_S);
	params.seed = dht.seed;
	params.net = dht.mem;
	params.now_ns = dht.now_ns;
	faults_begin(&faults, &params);
	for (unsigned i = 0; i < NODES; i++)
		faults_add(&faults, &dht.nodes[i].addr, i == 0);
	faults_play(&dht.now_ns, dht_run, &dht);
	(void)faults_stop(&faults, CORE_MIN, dht.now_ns);
	faults_report(&faults);
	CHECK(dht_put(dht.nodes[0].dht, &put, &asker, dht.now_ns));
	CHECK(converge(&ask, &dht.now_ns, &took_ns));
	printf("# DHT: a core finds it after %.1f s\n", (double)took_ns / NS_PER_S);
	faults_fini(&faults);
	dht_lab_fini(&dht);
	node_key_free(owner);
}

int main(void)
{
	RUN(test_a_core_of_the_overlay_finds_what_is_put_after_faults);
	RUN(test_a_core_of_a_swarm_has_everything_after_faults);
	RUN(test_a_core_of_the_dht_finds_what_is_put_after_faults);
	return check_done();
}
