/* SPDX-License-Identifier: Apache-2.0 */
/* Which sources are asked, how much at once, and what is made of those that fail. */
#include "blobs/swarm/swarm.h"

#include "base/monotonic.h"
#include "blobs/swarm/swarm_state.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/source_net.h"

#define BUF_CAP 8192

static struct source_net net;

/* --- one manifest, asked of any holder --- */

static struct {
	struct swarm_ask ask;
	uint8_t buf[BUF_CAP];
	unsigned told_cnt;
	int err;
	char detail[256];
	size_t len;
} one;

static bool one_is_right(void *arg, const struct message_answer *answer)
{
	uint8_t id[BLAKE3_HASH_LEN];

	(void)arg;
	blake3_hash(answer->bytes, answer->len, id);
	return memcmp(id, net.manifest_id, sizeof(id)) == 0;
}

static void one_done(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	one.told_cnt++;
	one.err = answer->err;
	one.len = answer->message.len;
	snprintf(one.detail, sizeof(one.detail), "%s", answer->err ? answer->detail : "");
}

static int one_ask(struct swarm *swarm)
{
	memset(&one, 0, sizeof(one));
	one.ask.type = MESH_GET_MANIFEST;
	memcpy(one.ask.request.id, net.manifest_id, sizeof(net.manifest_id));
	one.ask.what = "the collection";
	one.ask.what_len = strlen(one.ask.what);
	one.ask.buf = one.buf;
	one.ask.cap = sizeof(one.buf);
	one.ask.check = one_is_right;
	one.ask.done = one_done;
	return blobs_swarm_ask(swarm, &one.ask, net.now_ns);
}

static bool one_is_over(void *arg)
{
	(void)arg;
	return one.told_cnt > 0;
}

static bool one_run(uint64_t for_ns)
{
	return source_net_run(&net, for_ns, one_is_over, NULL);
}

static void test_a_hint_is_asked_at_once_and_nothing_else(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	swarm = source_net_join(&net, 0, 1);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK_EQ(one.told_cnt, 0);
	CHECK(one_run(NS_PER_S));
	CHECK_EQ(one.err, 0);
	CHECK_EQ(one.len, sizeof(source_net_manifest));
	CHECK_EQ(net.asked_cnt, 1);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_an_ask_goes_on_to_any_holder(void)
{
	static const struct {
		const char *why;
		struct net_source first;
	} rows[] = {
		{"dead", {.is_dead = true}},
		{"absent", {.code = MESH_CODE_ABSENT}},
		{"changed", {.code = MESH_CODE_CHANGED}},
		{"refuses", {.code = MESH_CODE_MALFORMED}},
		{"lies", {.is_liar = true}},
		{"broken", {.code = MESH_CODE_INTERNAL}},
		{"busy for an hour", {.busy_until_ns = 4600 * NS_PER_S}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct swarm *swarm;

		source_net_init(&net);
		net.sources[0].is_dead = rows[i].first.is_dead;
		net.sources[0].is_liar = rows[i].first.is_liar;
		net.sources[0].code = rows[i].first.code;
		net.sources[0].busy_until_ns = rows[i].first.busy_until_ns;
		net.sources[1].delay_ns = 20 * NS_PER_MS;
		swarm = source_net_join(&net, 0, 2);
		CHECK_EQ(one_ask(swarm), 0);
		if (!one_run(60 * NS_PER_S) || one.err)
			printf("# %s: %d %s\n", rows[i].why, one.err, one.detail);
		CHECK_EQ(one.told_cnt, 1);
		CHECK_EQ(one.err, 0);
		blobs_swarm_leave(swarm);
		source_net_fini(&net);
	}
}

static void test_the_last_failure_is_reported_when_no_source_is_left(void)
{
	static const struct {
		enum mesh_code code;
		bool is_dead, is_liar;
		int err;
		const char *words;
	} rows[] = {
		{MESH_CODE_ABSENT, false, false, WEFT_EABSENT, "has not got the collection"},
		{MESH_CODE_CHANGED, false, false, WEFT_ECHANGED, "the collection has changed"},
		{MESH_CODE_MALFORMED, false, false, WEFT_EREFUSED, "refuses to send"},
		{0, true, false, WEFT_ETIMEOUT, "resume when it is back"},
		{0, false, true, WEFT_EDAMAGED, "bytes that do not match"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct swarm *swarm;

		source_net_init(&net);
		net.sources[0].code = rows[i].code;
		net.sources[0].is_dead = rows[i].is_dead;
		net.sources[0].is_liar = rows[i].is_liar;
		swarm = source_net_join(&net, 0, 1);
		CHECK_EQ(one_ask(swarm), 0);
		CHECK(one_run(200 * NS_PER_S));
		CHECK_EQ(one.err, rows[i].err);
		CHECK(strstr(one.detail, rows[i].words));
		blobs_swarm_leave(swarm);
		source_net_fini(&net);
	}
}

static void test_without_a_node_the_ask_ends_soon(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	swarm = source_net_join(&net, 0, 0);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK(one_run(NS_PER_S));
	CHECK_EQ(one.err, WEFT_EABSENT);
	CHECK_EQ(net.asked_cnt, 0);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_a_full_mesh_is_tried_again(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	net.full_cnt = 3;
	swarm = source_net_join(&net, 0, 1);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK(one_run(NS_PER_S));
	CHECK_EQ(one.err, 0);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_leaving_takes_back_what_is_asked(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	swarm = source_net_join(&net, 0, 1);
	CHECK_EQ(one_ask(swarm), 0);
	blobs_swarm_leave(swarm);
	CHECK_EQ(net.cancelled_cnt, 1);
	CHECK(!one_run(NS_PER_S));
	CHECK(!net.requests);
	source_net_fini(&net);
}

/* --- finders --- */

static struct {
	unsigned first, cnt; /* sources it finds */
	unsigned step;	     /* others each time */
	unsigned find_cnt, cancel_cnt;
	struct swarm_find search;
	struct timer timer;
} finder;

static void finder_fire(struct timer *timer, uint64_t now_ns)
{
	(void)timer;
	for (unsigned i = 0; i < finder.cnt; i++) {
		struct mesh_peer peer = source_net_peer(&net, finder.first + i);

		finder.search.found(finder.search.arg, &peer);
	}
	finder.first += finder.step;
	finder.search.done(finder.search.arg, now_ns);
}

static int finder_find(void *ctx, const struct swarm_find *search, uint64_t now_ns, void **out_run)
{
	(void)ctx;
	finder.find_cnt++;
	finder.search = *search;
	timer_init(&finder.timer, finder_fire);
	timer_set(&net.timers, &finder.timer, now_ns + 100 * NS_PER_MS);
	*out_run = &finder;
	return 0;
}

static void finder_cancel(void *run)
{
	(void)run;
	finder.cancel_cnt++;
	timer_cancel(&net.timers, &finder.timer);
}

static const struct swarm_finder_ops finder_ops = {finder_find, finder_cancel};

static void finder_add(unsigned first, unsigned cnt)
{
	const struct swarm_finder added = {.ops = &finder_ops};

	memset(&finder, 0, sizeof(finder));
	finder.first = first;
	finder.cnt = cnt;
	(void)!blobs_add_finder(&net.content, &added);
}

static void test_what_a_finder_finds_is_asked_what_it_has(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	finder_add(3, 1);
	swarm = source_net_join(&net, 0, 0);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK(one_run(10 * NS_PER_S));
	CHECK_EQ(one.err, 0);
	CHECK_EQ(net.sources[3].asked_cnt, 2);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

/* Before what it then asks for fills the line. */
static void test_a_server_hears_of_others_at_once(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	net.sources[0].holder_first = 1;
	net.sources[0].holder_cnt = 1;
	swarm = source_net_join(&net, 0, 1);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK(one_run(NS_PER_S));
	blobs_swarm_set_manifest(swarm, net.manifest_id, true);
	(void)source_net_run(&net, 50 * NS_PER_MS, NULL, NULL);
	CHECK(net.sources[1].asked_cnt > 0);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

/* Nine hundred and ninety-nine that are not there, and one that is, anywhere among them. */
static void test_a_thousand_fakes_hide_no_member(void)
{
	static const unsigned places[] = {0, 500, 999};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct swarm *swarm;

		source_net_init(&net);
		for (unsigned n = 0; n < 1000; n++)
			net.sources[n].is_dead = n != places[i];
		finder_add(0, 1000);
		swarm = source_net_join(&net, 0, 0);
		CHECK_EQ(one_ask(swarm), 0);
		CHECK(one_run(7200 * NS_PER_S));
		CHECK_EQ(one.err, 0);
		/* A fake costs one request. */
		CHECK(net.asked_cnt <= 1000 + 2);
		blobs_swarm_leave(swarm);
		source_net_fini(&net);
	}
}

/* It answers, so it is no fake; it never says what it has. */
static void test_one_that_is_always_busy_is_not_waited_for_for_ever(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	net.sources[0].busy_until_ns = UINT64_MAX / 2;
	finder_add(0, 1);
	swarm = source_net_join(&net, 0, 0);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK(one_run(600 * NS_PER_S));
	CHECK_EQ(one.err, WEFT_EABSENT);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

/* Each search finds another one, which says that it is busy. */
static void test_new_guesses_do_not_prolong_hope_for_ever(void)
{
	uint64_t began_ns;
	struct swarm *swarm;

	source_net_init(&net);
	for (unsigned i = 0; i < NET_SOURCES_MAX; i++)
		net.sources[i].busy_until_ns = UINT64_MAX / 2;
	finder_add(0, 1);
	finder.step = 1;
	began_ns = net.now_ns;
	swarm = source_net_join(&net, 0, 0);
	CHECK_EQ(one_ask(swarm), 0);
	CHECK(one_run(7200 * NS_PER_S));
	CHECK_EQ(one.err, WEFT_EABSENT);
	CHECK(net.now_ns - began_ns >= SWARM_HOPE_NS);
	CHECK(net.now_ns - began_ns < SWARM_HOPE_NS + SWARM_GIVE_UP_NS);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_swarms_full_of_guesses_leave_others_their_sources(void)
{
	static struct swarm *swarms[SOURCES_MAX / SWARM_MEMBERS_MAX + 1];
	unsigned last = SOURCES_MAX / SWARM_MEMBERS_MAX;

	source_net_init(&net);
	finder_add(0, 0);
	for (unsigned i = 0; i < last; i++) {
		CHECK((swarms[i] = source_net_join(&net, 0, 0)));
		finder.first = i * SWARM_MEMBERS_MAX;
		finder.cnt = SWARM_MEMBERS_MAX;
		for (unsigned n = 0; n < finder.cnt; n++)
			net.sources[finder.first + n].busy_until_ns = UINT64_MAX / 2;
		(void)source_net_run(&net, 200 * NS_PER_MS, NULL, NULL);
	}
	finder.cnt = 0;
	CHECK((swarms[last] = source_net_join(&net, SOURCES_MAX, 1)));
	CHECK_EQ(one_ask(swarms[last]), 0);
	CHECK(one_run(10 * NS_PER_S));
	CHECK_EQ(one.err, 0);
	for (unsigned i = 0; i <= last; i++)
		blobs_swarm_leave(swarms[i]);
	CHECK_EQ(net.content.swarms->sources.cnt, SOURCES_MAX);
	source_net_fini(&net);
}

/* Any node may give false places of others; the link of a joining member is better. */
static void test_a_hint_is_asked_where_it_is_said_to_be(void)
{
	struct addr elsewhere[MESH_PEER_ADDRS_MAX];
	struct mesh_peer guess, hint;
	struct swarm_member *member;
	struct swarm *swarm;

	source_net_init(&net);
	guess = hint = source_net_peer(&net, 0);
	for (unsigned i = 0; i < MESH_PEER_ADDRS_MAX; i++)
		elsewhere[i] = (struct addr){
			.ip = {203, 0, 113, (uint8_t)i}, .port = 1, .family = ADDR_IPV4};
	guess.addrs = elsewhere;
	guess.addr_cnt = MESH_PEER_ADDRS_MAX;
	swarm = source_net_join(&net, 0, 0);
	CHECK(blobs_swarm_member_add(swarm, &guess, false));
	blobs_swarm_hint(swarm, &hint);
	member = blobs_swarm_lookup(swarm, hint.key);
	CHECK(member && addr_equal(&member->source->addrs[0], &hint.addrs[0]));
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

/* What was found out about the one that is gone is not held against the next in its place. */
static void test_a_member_in_the_place_of_another_has_another_version(void)
{
	struct mesh_peer next;
	struct swarm_member *member;
	struct swarm *swarm;
	uint32_t version;
	unsigned idx;

	source_net_init(&net);
	swarm = source_net_join(&net, 0, 1);
	member = blobs_swarm_lookup(swarm, net.sources[0].key);
	CHECK(member);
	idx = blobs_swarm_member_idx(member);
	version = blobs_swarm_member_version(member);
	blobs_swarm_member_lose(member, net.now_ns);
	(void)source_net_run(&net, NS_PER_S, NULL, NULL);
	next = source_net_peer(&net, 1);
	blobs_swarm_hint(swarm, &next);
	member = blobs_swarm_lookup(swarm, net.sources[1].key);
	CHECK(member);
	CHECK_EQ(blobs_swarm_member_idx(member), idx);
	CHECK(blobs_swarm_member_version(member) != version);
	version = blobs_swarm_member_version(member);
	blobs_have_set(&member->have, HAVE_ALL);
	CHECK(blobs_swarm_member_version(member) != version);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

/* --- limits of what is asked for --- */

static bool chunk_is_right(void *arg, const struct message_answer *answer)
{
	(void)arg;
	return answer->len == net.chunk_len;
}

static int chunk_ask(struct swarm *swarm, struct swarm_member *from)
{
	memset(&one, 0, sizeof(one));
	one.ask.type = MESH_GET_CHUNK;
	one.ask.what = "a chunk";
	one.ask.what_len = strlen(one.ask.what);
	one.ask.buf = one.buf;
	one.ask.cap = sizeof(one.buf);
	one.ask.from = from;
	one.ask.check = chunk_is_right;
	one.ask.done = one_done;
	return blobs_swarm_ask(swarm, &one.ask, net.now_ns);
}

/* A chunk a second, of all and of each. */
static struct swarm *limited_begin(void)
{
	source_net_init(&net);
	net.content.limits.configured[BLOBS_LIMIT_DOWNLOAD_PEER] = BLAKE3_CHUNK_LEN;
	blobs_byte_bucket_set(&net.content.limits.download, BLAKE3_CHUNK_LEN, net.now_ns);
	return source_net_join(&net, 0, 1);
}

static void test_what_did_not_come_costs_nothing_of_the_limits(void)
{
	struct swarm *swarm = limited_begin();
	struct swarm_member *member;

	blobs_swarm_round(swarm);
	member = blobs_swarm_best(swarm, net.now_ns);
	CHECK(member);
	CHECK_EQ(chunk_ask(swarm, member), 0);
	CHECK(blobs_download_ns(&net.content, net.now_ns) > net.now_ns + 900 * NS_PER_MS);
	CHECK(!blobs_swarm_best(swarm, net.now_ns));
	blobs_swarm_cancel(&one.ask);
	CHECK_EQ(blobs_download_ns(&net.content, net.now_ns), net.now_ns);
	CHECK(blobs_swarm_best(swarm, net.now_ns) == member);
	/* Of one that is answered with less, the rest. */
	CHECK_EQ(chunk_ask(swarm, member), 0);
	CHECK(one_run(NS_PER_S));
	CHECK_EQ(one.err, 0);
	CHECK_EQ(blobs_download_ns(&net.content, net.now_ns), net.now_ns);
	CHECK(blobs_swarm_best(swarm, net.now_ns) == member);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_an_ask_of_any_holder_waits_for_the_limit(void)
{
	struct swarm *swarm = limited_begin();
	uint64_t free_ns;

	blobs_download_take(&net.content, BLAKE3_CHUNK_LEN, net.now_ns);
	free_ns = blobs_download_ns(&net.content, net.now_ns);
	CHECK(free_ns > net.now_ns);
	CHECK_EQ(chunk_ask(swarm, NULL), 0);
	CHECK_EQ(net.asked_cnt, 0);
	CHECK(one_run(2 * NS_PER_S));
	CHECK_EQ(one.err, 0);
	CHECK(net.now_ns >= free_ns);
	blobs_swarm_leave(swarm);
	source_net_fini(&net);
}

static void test_leaving_ends_searches(void)
{
	struct swarm *swarm;

	source_net_init(&net);
	finder_add(0, 1);
	swarm = source_net_join(&net, 0, 0);
	CHECK(!source_net_run(&net, NS_PER_MS, NULL, NULL));
	CHECK_EQ(finder.find_cnt, 1);
	blobs_swarm_leave(swarm);
	CHECK_EQ(finder.cancel_cnt, 1);
	source_net_fini(&net);
}

static void test_one_finder_too_many_is_refused(void)
{
	const struct swarm_finder added = {.ops = &finder_ops};

	source_net_init(&net);
	for (unsigned i = 0; i < SWARM_FINDERS_MAX; i++)
		CHECK_EQ(blobs_add_finder(&net.content, &added), 0);
	CHECK_EQ(blobs_add_finder(&net.content, &added), WEFT_EFULL);
	source_net_fini(&net);
}

static void test_one_swarm_too_many_is_refused(void)
{
	static struct swarm *swarms[SWARMS_MAX];

	source_net_init(&net);
	for (unsigned i = 0; i < SWARMS_MAX; i++)
		CHECK((swarms[i] = source_net_join(&net, 0, 0)));
	CHECK(!source_net_join(&net, 0, 0));
	for (unsigned i = 0; i < SWARMS_MAX; i++)
		blobs_swarm_leave(swarms[i]);
	source_net_fini(&net);
}

int main(void)
{
	RUN(test_a_hint_is_asked_at_once_and_nothing_else);
	RUN(test_an_ask_goes_on_to_any_holder);
	RUN(test_the_last_failure_is_reported_when_no_source_is_left);
	RUN(test_without_a_node_the_ask_ends_soon);
	RUN(test_a_full_mesh_is_tried_again);
	RUN(test_leaving_takes_back_what_is_asked);
	RUN(test_what_a_finder_finds_is_asked_what_it_has);
	RUN(test_a_server_hears_of_others_at_once);
	RUN(test_a_thousand_fakes_hide_no_member);
	RUN(test_one_that_is_always_busy_is_not_waited_for_for_ever);
	RUN(test_new_guesses_do_not_prolong_hope_for_ever);
	RUN(test_swarms_full_of_guesses_leave_others_their_sources);
	RUN(test_a_hint_is_asked_where_it_is_said_to_be);
	RUN(test_a_member_in_the_place_of_another_has_another_version);
	RUN(test_what_did_not_come_costs_nothing_of_the_limits);
	RUN(test_an_ask_of_any_holder_waits_for_the_limit);
	RUN(test_leaving_ends_searches);
	RUN(test_one_finder_too_many_is_refused);
	RUN(test_one_swarm_too_many_is_refused);
	return check_done();
}
