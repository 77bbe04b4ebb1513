/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixty nodes, each with a publisher and a directory over a real overlay. Offers are
 * found by others, renewed, withdrawn, taken over, and not found once their node died.
 * Seeds are fixed; SEED=n plays another run.
 */
#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"
#include "support/check.h"
#include "support/converge.h"
#include "support/overlay_lab.h"
#include "support/seed.h"

#define NODES	    60
#define PROVIDERS   25 /* of pod-chat: the first nodes but one */
#define FIND_NS_MAX (30 * NS_PER_S)
#define CONVERGE_NS (60 * NS_PER_S) /* seed 11: 25 s for ten nodes, one after the other */

static struct overlay_lab lab;

static struct party {
	struct overlay_lab_node *node;
	struct node_key *key;
	struct timer_wheel timers;
	struct service_directory *directory;
	struct service_publisher *publisher;
} parties[NODES];

static uint64_t wall_s(void *ctx)
{
	(void)ctx;
	return mesh_lab_wall_s(&lab.mesh);
}

static uint64_t party_next_ns(void *ctx)
{
	const struct party *party = ctx;
	uint64_t overlay_ns = overlay_next_ns(party->node->overlay);
	uint64_t timer_ns = timer_wheel_next_ns(&party->timers);

	return overlay_ns < timer_ns ? overlay_ns : timer_ns;
}

static void party_expire(void *ctx, uint64_t now_ns)
{
	struct party *party = ctx;

	overlay_expire(party->node->overlay, now_ns);
	timer_wheel_expire(&party->timers, now_ns);
}

static void party_open(struct party *party)
{
	struct service_directory_params directory = {
		.overlay = party->node->seam,
		.timers = &party->timers,
		.random = &party->node->random,
		.own_key = node_key_public(party->key),
		.now_ns = lab.mesh.now_ns,
		.wall_s = wall_s,
	};
	struct service_publisher_params publisher = {
		.overlay = party->node->seam,
		.key = party->key,
		.timers = &party->timers,
		.now_ns = lab.mesh.now_ns,
		.wall_s = wall_s,
	};

	service_directory_config_defaults(&directory.config);
	service_publisher_config_defaults(&publisher.config);
	if (service_directory_new(&directory, &party->directory) < 0 ||
	    service_publisher_new(&publisher, &party->publisher) < 0)
		abort();
	service_publisher_set_places(
		party->publisher,
		&(struct peer_places){.addrs = {party->node->mesh->addr}, .addr_cnt = 1},
		lab.mesh.now_ns);
	party->node->mesh->expire = party_expire;
	party->node->mesh->next_ns = party_next_ns;
	party->node->mesh->ctx = party;
}

static void lab_open(void)
{
	overlay_lab_init(&lab, seed_of_run(11), NODES, NULL);
	for (unsigned i = 0; i < NODES; i++) {
		uint8_t key_seed[NODE_KEY_SEED_LEN] = {(uint8_t)i, 3};
		struct party *party = &parties[i];

		if (node_key_from_seed(key_seed, &party->key) < 0)
			abort();
		timer_wheel_init(&party->timers, lab.mesh.now_ns);
		party->node = overlay_lab_add(&lab);
		overlay_lab_start(party->node, i ? parties[0].node : NULL);
		party_open(party);
		overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
	overlay_lab_run(&lab, 60 * NS_PER_S, NULL, NULL);
}

static void party_close(struct party *party)
{
	service_publisher_free(party->publisher);
	service_directory_free(party->directory);
	party->publisher = NULL;
	party->directory = NULL;
}

static void lab_close(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		party_close(&parties[i]);
		node_key_free(parties[i].key);
	}
	overlay_lab_fini(&lab);
}

static void offer(struct party *party, const char *name, const char *version)
{
	const struct service_offering offering = {.name = name, .version = version};
	enum service_fault fault;

	if (service_publisher_offer(party->publisher, &offering, lab.mesh.now_ns, &fault) < 0)
		abort();
	party->node->mesh->due_ns = 0;
}

static struct {
	bool is_done;
	struct service_finding finding;
	struct service_descriptor descriptors[SERVICE_FOUND_MAX];
} last;

static void found(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	last.is_done = true;
	last.finding = *finding;
	for (unsigned i = 0; i < finding->found_cnt; i++)
		last.descriptors[i] = *finding->found[i].descriptor;
}

static bool find_is_done(void *arg)
{
	(void)arg;
	return last.is_done;
}

static bool find(struct party *party, const struct service_query *query)
{
	struct service_query asked = *query;
	struct service_find *of;
	uint64_t wait_ns;

	memset(&last, 0, sizeof(last));
	party->node->mesh->due_ns = 0;
	asked.found = found;
	return service_find_start(party->directory, &asked, lab.mesh.now_ns, &of, &wait_ns) == 0 &&
	       overlay_lab_run(&lab, FIND_NS_MAX, find_is_done, NULL) && last.finding.err == 0;
}

static const struct service_query pod_chat = {.name = "pod-chat", .is_anew = true};
static const struct service_query mortal = {.name = "mortal"};
static const struct service_query lonely = {.name = "lonely", .is_anew = true};

static bool lab_passes(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return overlay_lab_run(world, for_ns, done, arg);
}

/* What some nodes are to find anew. */
struct wanted {
	const struct service_query *query;
	unsigned first; /* of the nodes that look */
	unsigned found_cnt, gone_cnt;
	const struct party *owner; /* of the one that is found; NULL: any */
};

static bool finds_it(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	const struct wanted *wanted = arg;

	if (!find(&parties[wanted->first + part], wanted->query)) {
		snprintf(why, CONVERGE_WHY_CAP, "the search fails: %d", last.finding.err);
		return false;
	}
	snprintf(why, CONVERGE_WHY_CAP, "%u found, %u gone", last.finding.found_cnt,
		 last.finding.hidden[SERVICE_GONE]);
	return last.finding.found_cnt == wanted->found_cnt &&
	       last.finding.hidden[SERVICE_GONE] == wanted->gone_cnt &&
	       (!wanted->owner || memcmp(last.descriptors[0].owner,
					 node_key_public(wanted->owner->key), NODE_KEY_LEN) == 0);
}

/* All of cnt nodes find it. */
static bool all_find(struct wanted wanted, unsigned cnt)
{
	const struct converge ask = {
		.what = "every node that looks finds who offers the service, and no others",
		.part_cnt = cnt,
		.part_name = "looking node",
		.holds = finds_it,
		.arg = &wanted,
		.within_ns = CONVERGE_NS,
		.run = lab_passes,
		.world = &lab,
		.look_ns = NS_PER_S,
	};
	uint64_t took_ns;
	bool is_true = converge(&ask, &lab.mesh.now_ns, &took_ns);

	printf("# %s: all find it after %.1f s\n", wanted.query->name, (double)took_ns / NS_PER_S);
	return is_true;
}

static void test_providers_are_found_from_anywhere(void)
{
	uint8_t id[SERVICE_ID_LEN];

	for (unsigned i = 1; i <= PROVIDERS; i++)
		offer(&parties[i], "pod-chat", "1.0.0");
	offer(&parties[30], "lonely", "1.0.0");
	CHECK(all_find((struct wanted){&pod_chat, 40, SERVICE_FOUND_MAX, 0, NULL}, 10));
	CHECK(all_find((struct wanted){&lonely, 40, 1, 0, &parties[30]}, 10));
	for (unsigned i = 40; i < 50; i++) {
		CHECK(find(&parties[i], &pod_chat));
		CHECK_EQ(last.finding.found_cnt, SERVICE_FOUND_MAX);
		for (unsigned j = 0; j < last.finding.found_cnt; j++) {
			CHECK_STR(last.descriptors[j].name, "pod-chat");
			CHECK_EQ(last.descriptors[j].places.addr_cnt, 1);
			for (unsigned k = 0; k < j; k++)
				CHECK(memcmp(last.descriptors[j].owner, last.descriptors[k].owner,
					     NODE_KEY_LEN) != 0);
		}
		for (unsigned fault = 1; fault < SERVICE_FAULT_CNT; fault++)
			CHECK_EQ(last.finding.hidden[fault], 0);
		CHECK(find(&parties[i], &(struct service_query){.name = "lonely"}));
		CHECK_EQ(last.finding.found_cnt, 1);
		memcpy(id, last.descriptors[0].id, sizeof(id));
		CHECK(find(&parties[i], &(struct service_query){.id = id}));
		CHECK_EQ(last.finding.found_cnt, 1);
		CHECK_MEM(last.descriptors[0].owner, node_key_public(parties[30].key),
			  NODE_KEY_LEN);
	}
}

static void test_versions_of_one_node_are_found_by_range(void)
{
	offer(&parties[31], "echo", "1.0.0");
	offer(&parties[31], "echo", "2.0.0");
	overlay_lab_run(&lab, 20 * NS_PER_S, NULL, NULL);
	CHECK(find(&parties[50], &(struct service_query){.name = "echo", .version = "^1"}));
	CHECK_EQ(last.finding.found_cnt, 1);
	CHECK_STR(last.descriptors[0].version, "1.0.0");
	CHECK(find(&parties[50], &(struct service_query){.name = "echo"}));
	CHECK_EQ(last.finding.found_cnt, 2);
	CHECK_STR(last.descriptors[0].version, "2.0.0");
}

static void test_a_withdrawn_service_is_gone_for_all(void)
{
	service_publisher_withdraw(parties[30].publisher, "lonely", 1, lab.mesh.now_ns);
	parties[30].node->mesh->due_ns = 0;
	CHECK(all_find((struct wanted){&lonely, 40, 0, 1, NULL}, 5));
	/* Another node takes it over. */
	offer(&parties[32], "lonely", "1.0.0");
	CHECK(all_find((struct wanted){&lonely, 40, 1, 1, &parties[32]}, 5));
}

/* Twice a life later: live nodes have renewed themselves, dead ones are forgotten. */
static void test_the_living_renew_and_the_dead_expire(void)
{
	const unsigned dead = 33, alive = 32;

	offer(&parties[dead], "mortal", "1.0.0");
	CHECK(all_find((struct wanted){&mortal, 51, 1, 0, &parties[dead]}, 1));
	party_close(&parties[dead]);
	overlay_lab_stop(parties[dead].node);
	overlay_lab_run(&lab, 2 * 3600 * NS_PER_S, NULL, NULL);
	CHECK(find(&parties[51], &(struct service_query){.name = "mortal"}));
	CHECK_EQ(last.finding.found_cnt, 0);
	CHECK(find(&parties[51], &(struct service_query){.name = "lonely"}));
	CHECK_EQ(last.finding.found_cnt, 1);
	CHECK_MEM(last.descriptors[0].owner, node_key_public(parties[alive].key), NODE_KEY_LEN);
	CHECK(last.descriptors[0].created_s + 1900 > wall_s(NULL));
	CHECK(find(&parties[52], &pod_chat));
	CHECK_EQ(last.finding.found_cnt, SERVICE_FOUND_MAX);
}

int main(void)
{
	lab_open();
	RUN(test_providers_are_found_from_anywhere);
	RUN(test_versions_of_one_node_are_found_by_range);
	RUN(test_a_withdrawn_service_is_gone_for_all);
	RUN(test_the_living_renew_and_the_dead_expire);
	lab_close();
	return check_done();
}
