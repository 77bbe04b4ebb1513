/* SPDX-License-Identifier: Apache-2.0 */
#include "service/limits/abuse.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "unit/service/directory_rig.h"

static struct arena arena;
static struct service_abuse abuse;
static unsigned told[SERVICE_ABUSE_CNT];
static struct service_abuse_event last;

static void abuse_told(void *ctx, const struct service_abuse_event *event, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	told[event->kind]++;
	last = *event;
}

static void setup(void)
{
	static const uint64_t secret[2] = {1, 2};

	memset(told, 0, sizeof(told));
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    service_abuse_init(&abuse, &arena, secret, abuse_told, NULL) < 0)
		abort();
}

/* cnt queries of caller, for so many names in turn. */
static void ask(uint8_t caller, unsigned cnt, unsigned name_cnt, uint64_t now_ns)
{
	const uint8_t key[MESH_KEY_LEN] = {caller};

	for (unsigned i = 0; i < cnt; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "name-%u", i % name_cnt);

		service_abuse_note(&abuse, key, name, (size_t)len, now_ns);
	}
}

static bool told_are(unsigned enumeration, unsigned rapid_fire, unsigned scanning)
{
	return told[SERVICE_ABUSE_ENUMERATION] == enumeration &&
	       told[SERVICE_ABUSE_RAPID_FIRE] == rapid_fire &&
	       told[SERVICE_ABUSE_SCANNING] == scanning;
}

static const struct {
	const char *why;
	unsigned query_cnt, name_cnt;
	bool is_enumeration, is_rapid_fire, is_scanning;
} patterns[] = {
	{"10 names", 10, 10, false, false, false},
	{"11 names", 11, 11, true, false, false},
	{"50 queries of one name", 50, 1, false, false, false},
	{"51 queries of one name", 51, 1, false, true, false},
	{"30 queries of 6 names", 30, 6, false, false, false},
	{"31 queries of 5 names", 31, 5, false, false, false},
	{"31 queries of 6 names", 31, 6, false, false, true},
	{"51 queries of 11 names", 51, 11, true, true, true},
};

static void test_each_pattern_is_reported_once_beyond_its_limit(void)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		setup();
		ask(1, patterns[i].query_cnt, patterns[i].name_cnt, 5);
		if (!told_are(patterns[i].is_enumeration, patterns[i].is_rapid_fire,
			      patterns[i].is_scanning))
			printf("# %s\n", patterns[i].why);
		CHECK(told_are(patterns[i].is_enumeration, patterns[i].is_rapid_fire,
			       patterns[i].is_scanning));
		arena_close(&arena);
	}
}

static void test_event_names_the_caller_and_the_amount(void)
{
	setup();
	ask(7, 51, 1, 5);
	CHECK_EQ(last.caller[0], 7);
	CHECK_EQ(last.query_cnt, 51);
	CHECK_EQ(last.name_cnt, 1);
	CHECK_STR(service_abuse_name(last.kind), "rapid-fire");
	arena_close(&arena);
}

static void test_callers_are_watched_apart(void)
{
	setup();
	for (uint8_t caller = 0; caller < 10; caller++)
		ask(caller, 10, 10, 5);
	CHECK(told_are(0, 0, 0));
	ask(3, 1, 1, 5);
	CHECK(told_are(0, 0, 0));
	ask(3, 11, 11, 5);
	CHECK(told_are(1, 0, 0));
	arena_close(&arena);
}

static void test_a_new_minute_is_reported_anew(void)
{
	setup();
	ask(1, 60, 1, 5);
	CHECK(told_are(0, 1, 0));
	ask(1, 60, 1, 5 + SERVICE_ABUSE_NS - 1);
	CHECK(told_are(0, 1, 0));
	ask(1, 50, 1, 5 + SERVICE_ABUSE_NS);
	CHECK(told_are(0, 1, 0));
	ask(1, 1, 1, 5 + SERVICE_ABUSE_NS);
	CHECK(told_are(0, 2, 0));
	arena_close(&arena);
}

/* More callers than are watched: the oldest are forgotten, nothing else happens. */
static void test_many_callers_do_not_hide_the_one_that_asks(void)
{
	setup();
	for (unsigned i = 0; i < 4 * SERVICE_ABUSE_CALLERS; i++) {
		uint8_t key[MESH_KEY_LEN] = {2, (uint8_t)i, (uint8_t)(i >> 8)};

		service_abuse_note(&abuse, key, "x", 1, 5 + i);
	}
	CHECK_EQ(abuse.caller_cnt, SERVICE_ABUSE_CALLERS);
	ask(1, 51, 1, 5000);
	CHECK(told_are(0, 1, 0));
	arena_close(&arena);
}

/* By way of the directory, on behalf of the caller that the query names, or of this node. */
static void test_finds_are_watched(void)
{
	const uint8_t caller[MESH_KEY_LEN] = {9};

	memset(told, 0, sizeof(told));
	rig_init();
	rig.params.on_abuse = abuse_told;
	rig_open();
	for (unsigned i = 0; i < 11; i++) {
		char name[16];

		snprintf(name, sizeof(name), "name-%u", i);
		CHECK_EQ(rig_start(&(struct service_query){.name = name, .caller = caller}), 0);
	}
	CHECK(told_are(1, 0, 0));
	CHECK_EQ(last.caller[0], 9);
	for (unsigned i = 0; i < 51; i++)
		CHECK_EQ(rig_start(&(struct service_query){.name = "echo"}), 0);
	CHECK(told_are(1, 1, 0));
	CHECK_MEM(last.caller, rig.params.own_key, MESH_KEY_LEN);
	/* Only the limits refuse anything, and a caller over them is watched all the same. */
	for (unsigned i = 0; i < 200; i++)
		if (rig_start(&(struct service_query){.name = "a", .caller = caller}) < 0)
			break;
	CHECK_EQ(rig_start(&(struct service_query){.name = "a", .caller = caller}), WEFT_EREFUSED);
	CHECK(told_are(1, 2, 1));
	rig_fini();
}

int main(void)
{
	RUN(test_each_pattern_is_reported_once_beyond_its_limit);
	RUN(test_event_names_the_caller_and_the_amount);
	RUN(test_callers_are_watched_apart);
	RUN(test_a_new_minute_is_reported_anew);
	RUN(test_many_callers_do_not_hide_the_one_that_asks);
	RUN(test_finds_are_watched);
	return check_done();
}
