/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: bounded, fair, and apart from friends. */
#include "people_rig.h"

#define FLOOD_CNT 100000u

static enum request_verdict ask_of(const uint8_t *person, unsigned network)
{
	static const uint8_t post[32] = {5};
	const struct request_note note = {.person = person,
					  .to = node_key_public(rig.own),
					  .post = post,
					  .source = from_network(network)};

	return social_request_note(rig.people, &note, rig.now_ns);
}

static bool has(unsigned n)
{
	struct request_view view;

	return social_request_of(rig.people, id_of(n), &view);
}

static bool on_request(void *arg, const struct request_view *view)
{
	(void)view;
	++*(unsigned *)arg;
	return true;
}

static void test_a_request_waits_and_is_accepted_or_refused(void)
{
	struct request_view view;
	unsigned cnt = 0;

	rig_begin();
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_NOTED);
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_KNOWN);
	CHECK_EQ(ask_of(id_of(2), 1), REQUEST_NOTED);
	CHECK_EQ(rig.event_cnts[SOCIAL_PERSON_REQUEST], 2);
	save();
	crash();
	social_requests_each(rig.people, on_request, &cnt);
	CHECK_EQ(cnt, 2);
	CHECK(social_request_of(rig.people, id_of(1), &view));
	CHECK_EQ(view.came_ms, NOON_MS);
	CHECK_MEM(view.to, node_key_public(rig.own), NODE_KEY_LEN);
	CHECK_EQ(social_request_accept(rig.people, id_of(1), &done, rig.now_ns), 0);
	CHECK_EQ(social_request_refuse(rig.people, id_of(2), &done, rig.now_ns), 0);
	CHECK_EQ(social_request_accept(rig.people, id_of(2), &done, rig.now_ns), WEFT_EABSENT);
	save();
	crash();
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_NEEDLESS);
	CHECK(social_is_accepted(rig.people, id_of(1)));
	CHECK_EQ(ask_of(id_of(2), 1), REQUEST_REFUSED);
	CHECK_EQ(stats().request_cnt, 0);
	rig_end();
}

static int restore(unsigned n, bool is_accepted, uint64_t since_ms)
{
	const struct request_answer answer = {id_of(n), since_ms, is_accepted};

	return social_answer_restore(rig.people, &answer, &done, rig.now_ns);
}

static bool on_answer(void *arg, const uint8_t *person, uint64_t since_ms)
{
	struct request_answer *answer = arg;

	answer->person = person;
	answer->since_ms = since_ms;
	return false;
}

static void test_an_answer_of_another_machine_is_as_one_of_this(void)
{
	struct request_answer first = {0};

	rig_begin();
	CHECK_EQ(ask_of(id_of(4), 1), REQUEST_NOTED);
	CHECK_EQ(ask_of(id_of(5), 1), REQUEST_NOTED);
	CHECK_EQ(follow(0, id_of(6), FOLLOW_PUBLIC), 0);
	CHECK_EQ(social_block_set(rig.people, id_of(7), true, &done, rig.now_ns), 0);
	CHECK_EQ(restore(1, true, NOON_MS - 5000), 0);
	CHECK_EQ(restore(2, false, NOON_MS - 6000), 0);
	CHECK_EQ(restore(1, false, 0), WEFT_EEXISTS);
	CHECK_EQ(restore(2, true, 0), WEFT_EEXISTS);
	CHECK_EQ(restore(6, true, 0), WEFT_EEXISTS);
	CHECK_EQ(restore(7, true, 0), WEFT_EREFUSED);
	social_answers_each(rig.people, true, on_answer, &first);
	CHECK_MEM(first.person, id_of(1), NODE_KEY_LEN);
	CHECK_EQ(first.since_ms, NOON_MS - 5000);
	social_answers_each(rig.people, false, on_answer, &first);
	CHECK_MEM(first.person, id_of(2), NODE_KEY_LEN);
	CHECK_EQ(first.since_ms, NOON_MS - 6000);
	/* Requests that wait here are answered. */
	CHECK_EQ(restore(4, true, NOON_MS), 0);
	CHECK_EQ(restore(5, false, NOON_MS), 0);
	CHECK_EQ(stats().request_cnt, 0);
	/* A time to come is now. */
	CHECK_EQ(restore(8, true, UINT64_MAX), 0);
	save();
	crash();
	CHECK_EQ(stats().accepted_cnt, 3);
	CHECK_EQ(stats().refused_cnt, 2);
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_NEEDLESS);
	CHECK_EQ(ask_of(id_of(2), 1), REQUEST_REFUSED);
	rig_end();
}

static void test_followed_and_blocked_people_make_no_request(void)
{
	rig_begin();
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_NOTED);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PRIVATE), 0);
	CHECK(!has(1));
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_NEEDLESS);
	CHECK_EQ(social_block_set(rig.people, id_of(2), true, &done, rig.now_ns), 0);
	CHECK_EQ(ask_of(id_of(2), 1), REQUEST_REFUSED);
	rig_end();
}

/* The bad input of the issue: nothing of friends is lost. */
static void test_10_to_the_5_requests_of_fresh_keys_take_nothing_of_friends(void)
{
	uint8_t fresh[NODE_KEY_LEN];

	rig_begin();
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(put_said(say(key_of(1), "Ada", NOON_MS), 1), 0);
	CHECK_EQ(ask_of(id_of(2), 2), REQUEST_NOTED);
	CHECK_EQ(social_request_accept(rig.people, id_of(2), &done, rig.now_ns), 0);
	CHECK_EQ(put_said(say(key_of(2), "Bo", NOON_MS), 2), 0);
	CHECK_EQ(ask_of(id_of(3), 3), REQUEST_NOTED);
	save();
	for (unsigned i = 0; i < FLOOD_CNT; i++) {
		random_fill(&rig.dice, fresh, sizeof(fresh));
		(void)ask_of(fresh, 4);
		if (i % 1024 == 0)
			save();
	}
	CHECK_EQ(stats().request_cnt, SOCIAL_REQUESTS_MAX);
	CHECK(has(3));
	/* A newcomer of another network has a place at once. */
	CHECK_EQ(ask_of(id_of(4), 5), REQUEST_NOTED);
	CHECK(has(4));
	CHECK_EQ(stats().request_cnt, SOCIAL_REQUESTS_MAX);
	save();
	crash();
	CHECK(has(3) && has(4));
	CHECK_STR(name_of(id_of(1)), "Ada");
	CHECK_STR(name_of(id_of(2)), "Bo");
	CHECK_EQ(ask_of(id_of(2), 2), REQUEST_NEEDLESS);
	CHECK_EQ(stats().request_cnt, SOCIAL_REQUESTS_MAX);
	rig_end();
}

static void test_one_request_more_than_1024_of_one_network_is_refused(void)
{
	rig_begin();
	for (unsigned n = 1; n <= SOCIAL_REQUESTS_MAX; n++)
		CHECK_EQ(ask_of(id_of(n), 1), REQUEST_NOTED);
	CHECK_EQ(ask_of(id_of(SOCIAL_REQUESTS_MAX + 1), 1), REQUEST_FULL);
	CHECK(has(1));
	CHECK_EQ(stats().request_full_cnt, 1);
	CHECK_EQ(ask_of(id_of(SOCIAL_REQUESTS_MAX + 1), 2), REQUEST_NOTED);
	CHECK_EQ(rig.change_cnts[PEOPLE_REQUEST_GONE], 1);
	rig_end();
}

static void test_the_oldest_refusal_is_forgotten_behind_1024(void)
{
	rig_begin();
	for (unsigned n = 1; n <= SOCIAL_REFUSED_MAX + 1; n++) {
		CHECK_EQ(ask_of(id_of(n), 1), REQUEST_NOTED);
		CHECK_EQ(social_request_refuse(rig.people, id_of(n), &done, rig.now_ns), 0);
		pass_ms(1);
		if (n % 512 == 0)
			save();
	}
	save();
	crash();
	CHECK_EQ(ask_of(id_of(2), 1), REQUEST_REFUSED);
	CHECK_EQ(ask_of(id_of(1), 1), REQUEST_NOTED);
	rig_end();
}

static void test_one_accepted_more_than_4096_is_refused(void)
{
	rig_begin();
	for (unsigned n = 1; n <= SOCIAL_ACCEPTED_MAX; n++) {
		CHECK_EQ(ask_of(id_of(n), 1), REQUEST_NOTED);
		CHECK_EQ(social_request_accept(rig.people, id_of(n), &done, rig.now_ns), 0);
		if (n % 256 == 0)
			save();
	}
	CHECK_EQ(ask_of(id_of(SOCIAL_ACCEPTED_MAX + 1), 1), REQUEST_NOTED);
	CHECK_EQ(social_request_accept(rig.people, id_of(SOCIAL_ACCEPTED_MAX + 1), &done,
				       rig.now_ns),
		 WEFT_EFULL);
	CHECK_EQ(restore(SOCIAL_ACCEPTED_MAX + 2, true, 0), WEFT_EFULL);
	rig_end();
}

int main(void)
{
	RUN(test_a_request_waits_and_is_accepted_or_refused);
	RUN(test_an_answer_of_another_machine_is_as_one_of_this);
	RUN(test_followed_and_blocked_people_make_no_request);
	RUN(test_10_to_the_5_requests_of_fresh_keys_take_nothing_of_friends);
	RUN(test_one_request_more_than_1024_of_one_network_is_refused);
	RUN(test_the_oldest_refusal_is_forgotten_behind_1024);
	RUN(test_one_accepted_more_than_4096_is_refused);
	return check_done();
}
