/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A community of 10,000 members and 10,000 absent shares. The test measures the processor's time
 * of a page, of a search and of a look at what is new. It also checks that all members reach a
 * joining one. Another number of shares may be given, as 100000.
 */
#include <time.h>

#include "base/monotonic.h"
#include "community/community_state.h"
#include "store/store.h"
#include "support/check.h"
#include "support/community_lab.h"

#define MEMBER_CNT   10000u
#define ANNOUNCERS   500u /* of the members */
#define LOT_CNT	     200u
#define PAGE_MS_MAX  1500.0
#define DELTA_MS_MAX 500.0
#define FIND_MS_MAX  2000.0

static struct community_lab lab;
static uint8_t id[COMMUNITY_ID_LEN];
static unsigned share_cnt = 10000;
static uint8_t announcers[ANNOUNCERS][COMMUNITY_KEY_LEN];

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static double p95(double *ms, unsigned cnt)
{
	qsort(ms, cnt, sizeof(*ms), by_size);
	return ms[(cnt - 1) * 95 / 100];
}

/* --- filling --- */

static struct intake_lot lot;
static uint8_t records[LOT_CNT][COMMUNITY_SHARE_LEN_MAX];

static void lot_done(void *arg, struct intake_lot *done, uint64_t now_ns)
{
	(void)now_ns;
	*(unsigned *)arg += done->taken_cnt;
}

static void lot_take(struct community_lab_node *node, unsigned *taken_cnt)
{
	struct communities *all = node->communities;

	lot.roster = &community_lookup(all, id)->roster;
	lot.done = lot_done;
	lot.arg = taken_cnt;
	community_intake_submit(all->intake, &lot);
	while (lot.is_waiting) {
		community_intake_work(all->intake, lab.mesh.now_ns);
		(void)jobs_reap(node->jobs);
		(void)store_reap(node->store);
	}
	lot.cnt = 0;
}

static size_t member_make(unsigned number, uint8_t out[static COMMUNITY_MEMBER_LEN_MAX])
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {0xab, (uint8_t)number, (uint8_t)(number >> 8)};
	struct community_member member = {.seq = 1,
					  .is_joined = true,
					  .time_s = community_lab_wall_s(&lab),
					  .places.addr_cnt = 1};
	struct writer w = writer_of(out, COMMUNITY_MEMBER_LEN_MAX);
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	member.places.addrs[0] =
		(struct addr){.family = ADDR_IPV4,
			      .ip = {10, (uint8_t)(number >> 8), (uint8_t)number, 1},
			      .port = 7000};
	memcpy(member.id, id, sizeof(member.id));
	community_member_write(&w, key, &member);
	if (number < ANNOUNCERS)
		memcpy(announcers[number], node_key_public(key), COMMUNITY_KEY_LEN);
	node_key_free(key);
	return writer_len(&w);
}

static unsigned members_fill(struct community_lab_node *node)
{
	unsigned taken_cnt = 0;

	for (unsigned number = 0; number < MEMBER_CNT; number++) {
		size_t len = member_make(number, records[number % LOT_CNT]);

		(void)community_intake_lot_add(&lot, ROSTER_MEMBER, records[number % LOT_CNT], len);
		if (number % LOT_CNT == LOT_CNT - 1)
			lot_take(node, &taken_cnt);
	}
	return taken_cnt;
}

/* Every copy of old in bytes becomes new, of the same length. */
static void replace(uint8_t *bytes, size_t len, const uint8_t *old, const uint8_t *new)
{
	uint8_t *at;

	while ((at = memmem(bytes, len, old, COMMUNITY_KEY_LEN)))
		memcpy(at, new, COMMUNITY_KEY_LEN);
}

/*
 * Of a share that was signed once, with other keys in its place: to sign 100,000 of them takes
 * longer than the test may. A lot of one's own is not verified.
 */
static size_t share_make(unsigned number, uint8_t out[static COMMUNITY_SHARE_LEN_MAX])
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {0x77};
	static uint8_t key_of[COMMUNITY_KEY_LEN];
	uint8_t binding_bytes[COMMUNITY_BINDING_LEN_MAX], share_key[COMMUNITY_KEY_LEN] = {1};
	uint8_t from_id[COMMUNITY_ID_LEN], to_id[COMMUNITY_ID_LEN];
	char title[64];
	struct community_binding binding = {.seq = 1, .is_bound = true, .title = title, .text = ""};
	struct community_share share = {.seq = 1, .time_s = community_lab_wall_s(&lab)};
	struct writer b = writer_of(binding_bytes, sizeof(binding_bytes));
	struct writer w = writer_of(out, COMMUNITY_SHARE_LEN_MAX);
	static struct node_key *key;

	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
	memcpy(key_of, node_key_public(key), sizeof(key_of));
	binding.title_len = (size_t)snprintf(title, sizeof(title), "Recordings of station %u%s",
					     number, number % 100 == 7 ? " at the glacier" : "");
	memcpy(binding.id, id, sizeof(binding.id));
	community_binding_write(&b, key, &binding);
	memcpy(share.id, id, sizeof(share.id));
	share.binding_bytes = binding_bytes;
	share.binding_len = writer_len(&b);
	memcpy(share_key + 1, &number, sizeof(number));
	community_id_of(key_of, from_id);
	community_id_of(share_key, to_id);
	replace(binding_bytes, share.binding_len, from_id, to_id);
	replace(binding_bytes, share.binding_len, key_of, share_key);
	community_share_write(&w, key, &share);
	replace(out, writer_len(&w), key_of, announcers[number % ANNOUNCERS]);
	return writer_len(&w);
}

static unsigned shares_fill(struct community_lab_node *node)
{
	unsigned taken_cnt = 0;

	lot.is_own = true;
	for (unsigned number = 0; number < share_cnt; number++) {
		size_t len = share_make(number, records[number % LOT_CNT]);

		(void)community_intake_lot_add(&lot, ROSTER_SHARE, records[number % LOT_CNT], len);
		if (number % LOT_CNT == LOT_CNT - 1)
			lot_take(node, &taken_cnt);
	}
	return taken_cnt;
}

/* --- looking --- */

static void count_member(void *arg, const struct community_member *member)
{
	(void)member;
	(*(unsigned *)arg)++;
}

static unsigned all_members(struct community_lab_node *node)
{
	struct community_listing listing = {.limit = COMMUNITY_PAGE_MAX};
	unsigned cnt = 0;

	do {
		if (community_members(node->communities, id, &listing, count_member, &cnt) < 0)
			return 0;
		listing.cursor = listing.next;
		listing.cursor_len = sizeof(listing.next);
	} while (listing.has_more);
	return cnt;
}

static void found(void *arg, int err, const struct community_page *page, uint64_t now_ns)
{
	(void)now_ns;
	*(unsigned *)arg = err == 0 ? page->share_cnt : 0;
}

static unsigned find(struct community_lab_node *node, const char *words)
{
	unsigned cnt = UINT32_MAX;
	struct community_question question = {
		.words = words, .limit = 50, .done = found, .arg = &cnt};

	if (community_search(node->communities, id, &question, lab.mesh.now_ns) < 0)
		return UINT32_MAX;
	while (cnt == UINT32_MAX) {
		(void)jobs_reap(node->jobs);
		communities_turn(node->communities, lab.mesh.now_ns);
	}
	return cnt;
}

static struct community_lab_node *a, *b;
static struct mesh_lab_ask ask;

static double ask_ms(unsigned type, const struct community_request *fields)
{
	uint8_t request[COMMUNITY_REQUEST_CAP];
	size_t len = community_lab_request(b, id, fields, request);
	double before = now_ms();

	mesh_lab_ask(b->mesh, a->mesh, type, request, len, &ask);
	return ask.reply.err < 0 ? 1e9 : now_ms() - before;
}

static void test_first_pages_of_10000_members_are_quick(void)
{
	struct community_request fields = {0};
	static struct community_page page;
	double here[100], there[100];

	community_lab_init(&lab, 1, 2);
	a = community_lab_add(&lab);
	a->config.member_cap = a->config.share_cap = 2 * MEMBER_CNT + 2 * share_cnt;
	a->config.requests_per_min = 100000;
	b = community_lab_add(&lab);
	b->config = a->config;
	community_lab_start(a);
	community_lab_start(b);
	CHECK_EQ(community_lab_create(a, "large", false, id), 0);
	CHECK(!community_lab_run(&lab, 10 * NS_PER_S, NULL, NULL));
	CHECK_EQ(members_fill(a), MEMBER_CNT);
	CHECK_EQ(all_members(a), MEMBER_CNT + 1);
	for (unsigned i = 0; i < 100; i++) {
		struct community_listing listing = {.limit = 50};
		unsigned cnt = 0;
		double before = now_ms();

		CHECK_EQ(community_members(a->communities, id, &listing, count_member, &cnt), 0);
		here[i] = now_ms() - before;
		CHECK_EQ(cnt, 50);
		there[i] = ask_ms(MESH_LIST_MEMBERS, &fields);
		CHECK_EQ(community_page_parse(ask.reply.payload, ask.reply.payload_len, &page), 0);
		CHECK(page.has_more && page.member_cnt > 150);
	}
	printf("# first page of %u members: p95 %.3f ms here, %.3f ms asked of a member\n",
	       MEMBER_CNT, p95(here, 100), p95(there, 100));
	CHECK(p95(here, 100) < PAGE_MS_MAX && p95(there, 100) < PAGE_MS_MAX);
}

static void test_an_unchanged_state_is_answered_quickly(void)
{
	struct community_request fields = {0};
	static struct community_page page;
	struct community_state state;
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	double ms[100];

	CHECK(ask_ms(MESH_ASK_COMMUNITY, &fields) < 1e9);
	CHECK_EQ(community_state_parse(ask.reply.payload, ask.reply.payload_len, &state), 0);
	memcpy(cursor, state.cursor.data, sizeof(cursor));
	fields.cursor = (struct community_bytes){cursor, sizeof(cursor)};
	for (unsigned i = 0; i < 100; i++) {
		ms[i] = ask_ms(MESH_ASK_EVENTS, &fields);
		CHECK_EQ(community_page_parse(ask.reply.payload, ask.reply.payload_len, &page), 0);
		CHECK(!page.has_more);
	}
	printf("# no change since the cursor: p95 %.3f ms, %zu bytes\n", p95(ms, 100),
	       ask.reply.payload_len);
	CHECK(p95(ms, 100) < DELTA_MS_MAX);
}

static bool has_all(void *arg)
{
	(void)arg;
	return community_lab_info(b, id).member_cnt >= MEMBER_CNT;
}

static void test_a_new_member_hears_of_10000_members(void)
{
	struct link link;
	uint64_t began_ns = lab.mesh.now_ns;
	double before = now_ms();

	CHECK_EQ(community_link(a->communities, id, &link), 0);
	CHECK_EQ(community_lab_join(b, "large", &link, NULL, 0), 0);
	CHECK(community_lab_run(&lab, 600 * NS_PER_S, has_all, NULL));
	printf("# %u members heard by one who joins: %.1f s simulated, %.1f s of a processor\n",
	       MEMBER_CNT, (double)(lab.mesh.now_ns - began_ns) / NS_PER_S,
	       (now_ms() - before) / 1e3);
	CHECK(all_members(b) >= MEMBER_CNT);
}

static void test_shares_are_searched_quickly(void)
{
	double rare[20], common[20], none[20], before;

	before = now_ms();
	CHECK_EQ(shares_fill(a), share_cnt);
	printf("# %u shares stored in %.1f s\n", share_cnt, (now_ms() - before) / 1e3);
	for (unsigned i = 0; i < 20; i++) {
		before = now_ms();
		CHECK_EQ(find(a, "GLACIER station"), 50);
		rare[i] = now_ms() - before;
		before = now_ms();
		CHECK_EQ(find(a, "recordings"), 50);
		common[i] = now_ms() - before;
		before = now_ms();
		CHECK_EQ(find(a, "nowhere"), 0);
		none[i] = now_ms() - before;
	}
	printf("# first page of a search of %u shares: p95 %.1f ms for a word in all, %.1f ms for "
	       "one in a hundredth, %.1f ms for one in none\n",
	       share_cnt, p95(common, 20), p95(rare, 20), p95(none, 20));
	CHECK(p95(common, 20) < FIND_MS_MAX && p95(rare, 20) < FIND_MS_MAX &&
	      p95(none, 20) < FIND_MS_MAX);
	community_lab_fini(&lab);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		share_cnt = (unsigned)atoi(argv[1]) / LOT_CNT * LOT_CNT;
	RUN(test_first_pages_of_10000_members_are_quick);
	RUN(test_an_unchanged_state_is_answered_quickly);
	RUN(test_a_new_member_hears_of_10000_members);
	RUN(test_shares_are_searched_quickly);
	return check_done();
}
