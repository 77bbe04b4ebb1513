/* SPDX-License-Identifier: Apache-2.0 */
/* The load of each source: many chunks of several sources, as a get asks for them. */
#include "base/monotonic.h"
#include "blobs/swarm/swarm.h"
#include "support/check.h"
#include "support/source_net.h"

#define CHUNKS_MAX 4000u
#define SLOTS	   32u
#define BUF_CAP	   2048u
#define MIB_S	   (1u << 20)

static struct source_net net;
static struct swarm *swarm;

enum chunk_state { CHUNK_MISSING, CHUNK_ASKED, CHUNK_HERE };

struct slot {
	struct swarm_ask ask;
	uint8_t buf[BUF_CAP];
};

static struct slot slots[SLOTS];
static enum chunk_state chunks[CHUNKS_MAX];
static unsigned here_cnt, wrong_cnt;
static uint64_t wrong_every; /* of source 0: each so many-th chunk it sends is wrong */

static void all_ask(uint64_t now_ns);

static void on_change(void *arg, uint64_t now_ns)
{
	(void)arg;
	all_ask(now_ns);
}

static bool bytes_are_right(const struct swarm_answer *answer)
{
	const struct message_answer *message = &answer->message;

	if (wrong_every && answer->from_key[0] == net.sources[0].key[0] &&
	    net.sources[0].chunk_cnt % wrong_every == 0)
		return false;
	for (size_t i = 0; i < message->len; i++)
		if (message->bytes[i] != (uint8_t)message->first)
			return false;
	return message->len == net.chunk_len;
}

static void chunk_done(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct slot *slot = arg;
	struct swarm_fault fault = {.chunk = slot->ask.chunk};
	enum chunk_state *chunk = &chunks[slot->ask.chunk];

	*chunk = CHUNK_MISSING;
	if (!answer->err && bytes_are_right(answer)) {
		*chunk = CHUNK_HERE;
		here_cnt++;
	} else if (!answer->err) {
		wrong_cnt++;
		memcpy(fault.key, answer->from_key, sizeof(fault.key));
		blobs_swarm_blame(swarm, &fault, now_ns);
	}
	all_ask(now_ns);
}

static bool slot_fill(struct slot *slot, struct swarm_member *member, uint64_t now_ns)
{
	for (uint64_t i = 0; i < net.chunk_cnt; i++) {
		if (chunks[i] != CHUNK_MISSING || !blobs_swarm_member_has(member, 0, i))
			continue;
		memset(&slot->ask, 0, sizeof(slot->ask));
		slot->ask.type = MESH_GET_CHUNK;
		slot->ask.request.first = i;
		slot->ask.chunk = i;
		slot->ask.what = "a chunk";
		slot->ask.what_len = 7;
		slot->ask.buf = slot->buf;
		slot->ask.cap = sizeof(slot->buf);
		slot->ask.from = member;
		slot->ask.done = chunk_done;
		slot->ask.arg = slot;
		if (blobs_swarm_ask(swarm, &slot->ask, now_ns) < 0)
			return false;
		chunks[i] = CHUNK_ASKED;
		return true;
	}
	return false;
}

static void all_ask(uint64_t now_ns)
{
	struct swarm_member *member;

	blobs_swarm_round(swarm);
	for (unsigned i = 0; i < SLOTS; i++)
		while (!slots[i].ask.swarm && (member = blobs_swarm_best(swarm, now_ns)) &&
		       !slot_fill(&slots[i], member, now_ns))
			blobs_swarm_skip(swarm, member);
}

static bool all_is_here(void *arg)
{
	(void)arg;
	return here_cnt == net.chunk_cnt;
}

static void begin(unsigned chunk_cnt)
{
	source_net_init(&net);
	net.chunk_cnt = chunk_cnt;
	memset(chunks, 0, sizeof(chunks));
	memset(slots, 0, sizeof(slots));
	here_cnt = wrong_cnt = 0;
	wrong_every = 0;
}

static void join(unsigned cnt)
{
	const struct swarm_watcher watcher = {.on_change = on_change};

	swarm = source_net_join(&net, 0, cnt);
	blobs_swarm_watch(swarm, &watcher);
	all_ask(net.now_ns);
}

/* Seconds it took, or 0. */
static double run(void)
{
	uint64_t began_ns = net.now_ns;
	bool is_over = source_net_run(&net, 600 * NS_PER_S, all_is_here, NULL);

	return is_over ? (double)(net.now_ns - began_ns) / NS_PER_S : 0;
}

static void end(void)
{
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_load_follows_what_sources_can_do(void)
{
	double took;

	begin(4000);
	for (unsigned i = 0; i < 3; i++)
		net.sources[i].rate = MIB_S / 10 >> i; /* 100, 50, 25 chunks a second */
	join(3);
	took = run();
	printf("# %u, %u, %u chunks in %.1f s\n", net.sources[0].chunk_cnt,
	       net.sources[1].chunk_cnt, net.sources[2].chunk_cnt, took);
	/* All three together take 22.9 s; none idles long. */
	CHECK(took > 0 && took < 26);
	CHECK(net.sources[0].chunk_cnt > 2 * net.sources[2].chunk_cnt);
	CHECK(net.sources[1].chunk_cnt > net.sources[2].chunk_cnt);
	end();
}

/* Half a second's worth, not more, so that little is lost when it goes. */
static void test_a_slow_source_has_few_requests(void)
{
	begin(400);
	net.sources[0].rate = 4 * 1024; /* four chunks a second */
	net.sources[1].rate = MIB_S;
	join(2);
	CHECK(run() > 0);
	CHECK(net.sources[0].open_peak <= 8 + 2); /* how it begins, and what it has and knows */
	CHECK(net.sources[0].chunk_cnt < 20);
	end();
}

static void test_a_source_that_falls_silent_is_replaced(void)
{
	double took;

	begin(2000);
	net.sources[0].rate = net.sources[1].rate = MIB_S / 10;
	join(2);
	(void)source_net_run(&net, 2 * NS_PER_S, NULL, NULL);
	net.sources[0].is_dead = true;
	took = run();
	/* What it had is asked of the other after some seconds. */
	CHECK(took > 0 && took < 30);
	CHECK(here_cnt == 2000);
	end();
}

static void test_one_wrong_chunk_in_a_thousand_is_found_and_the_source_left(void)
{
	begin(4000);
	wrong_every = 100; /* each 100th, that the test is over soon; each is found all the same */
	net.sources[0].rate = MIB_S;
	net.sources[1].rate = MIB_S / 4;
	join(2);
	CHECK(run() > 0);
	CHECK_EQ(wrong_cnt, 3);
	CHECK_EQ(net.bad_cnt, 3);
	/* Some were under way when it was refused. */
	CHECK(net.sources[0].chunk_cnt <= 300 + SLOTS);
	end();
}

static void test_a_corrupt_source_gives_nothing_and_is_never_asked_again(void)
{
	struct swarm *other;
	unsigned chunk_cnt;

	begin(1000);
	net.sources[0].is_liar = true;
	net.sources[0].rate = net.sources[1].rate = MIB_S / 4;
	join(2);
	CHECK(run() > 0);
	chunk_cnt = net.sources[0].chunk_cnt;
	CHECK_EQ(wrong_cnt, 3);
	/* Nor by another swarm of this node, also when it is named there. */
	other = source_net_join(&net, 0, 1);
	CHECK(!blobs_swarm_best(other, net.now_ns));
	CHECK_EQ(net.sources[0].chunk_cnt, chunk_cnt);
	blobs_swarm_leave(other);
	/* The node's operator may insist. */
	blobs_swarms_pardon(net.content.swarms, net.sources[0].key);
	other = source_net_join(&net, 0, 1);
	CHECK(blobs_swarm_best(other, net.now_ns));
	blobs_swarm_leave(other);
	end();
}

static void test_members_are_asked_for_what_they_have(void)
{
	begin(900);
	for (unsigned i = 0; i < 3; i++) {
		net.sources[i].rate = MIB_S / 4;
		net.sources[i].chunks_begin = 300 * i;
		net.sources[i].chunks_end = 300 * (i + 1);
	}
	join(3);
	/* They tell what they have before they are asked: hints are asked at once otherwise. */
	CHECK(run() > 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(net.sources[i].chunk_cnt, 300);
	end();
}

/* The first knows the others, and they are found by asking it. */
static void test_members_name_others(void)
{
	begin(2000);
	net.sources[0].rate = MIB_S / 10;
	net.sources[0].holder_first = 5;
	net.sources[0].holder_cnt = 4;
	for (unsigned i = 5; i < 9; i++)
		net.sources[i].rate = MIB_S / 10;
	join(1);
	CHECK(run() > 0);
	for (unsigned i = 5; i < 9; i++)
		CHECK(net.sources[i].chunk_cnt > 200);
	end();
}

static void test_no_more_than_so_many_are_asked_at_once(void)
{
	struct swarm_source_view view;
	struct swarm_iter iter = {0};
	unsigned open_cnt = 0;

	begin(4000);
	net.sources[0].rate = MIB_S / 20;
	net.sources[0].holder_first = 1;
	net.sources[0].holder_cnt = SWARM_OPEN_MAX + 4;
	for (unsigned i = 1; i < SWARM_OPEN_MAX + 8; i++)
		net.sources[i].rate = MIB_S / 200;
	join(1);
	(void)source_net_run(&net, 3 * NS_PER_S, NULL, NULL);
	iter.swarm = swarm;
	while (blobs_swarm_next(&iter, &view))
		open_cnt += view.is_open;
	CHECK_EQ(open_cnt, SWARM_OPEN_MAX);
	end();
}

static bool is_answered;

static void other_done(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	is_answered = answer->err == 0;
}

static bool other_is_over(void *arg)
{
	const struct swarm_ask *ask = arg;

	return !ask->swarm;
}

/* The first keeps the one source as busy as it may be. */
static void test_a_second_swarm_of_a_source_gets_its_turn(void)
{
	static uint8_t buf[BUF_CAP];
	struct swarm_ask ask = {.type = MESH_GET_MANIFEST,
				.what = "the collection",
				.what_len = 14,
				.buf = buf,
				.cap = sizeof(buf),
				.done = other_done};
	struct swarm *other;

	begin(4000);
	net.sources[0].rate = MIB_S / 200;
	join(1);
	(void)source_net_run(&net, 20 * NS_PER_S, NULL, NULL);
	other = source_net_join(&net, 0, 1);
	is_answered = false;
	CHECK_EQ(blobs_swarm_ask(other, &ask, net.now_ns), 0);
	CHECK(source_net_run(&net, 10 * NS_PER_S, other_is_over, &ask));
	CHECK(is_answered);
	CHECK(here_cnt < net.chunk_cnt);
	blobs_swarm_leave(other);
	end();
}

int main(void)
{
	RUN(test_load_follows_what_sources_can_do);
	RUN(test_a_slow_source_has_few_requests);
	RUN(test_a_source_that_falls_silent_is_replaced);
	RUN(test_one_wrong_chunk_in_a_thousand_is_found_and_the_source_left);
	RUN(test_a_corrupt_source_gives_nothing_and_is_never_asked_again);
	RUN(test_members_are_asked_for_what_they_have);
	RUN(test_members_name_others);
	RUN(test_no_more_than_so_many_are_asked_at_once);
	RUN(test_a_second_swarm_of_a_source_gets_its_turn);
	return check_done();
}
