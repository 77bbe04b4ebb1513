/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for a person whose node is off, over whole nodes. Alice writes to Bob while his is, and goes off.
 * An anchor that Bob's profile names keeps what she wrote. Bob comes back and has it once, whatever of the
 * three nodes crashed meanwhile. Mallory fills Bob's places at the anchor, and leaves what is no message.
 * SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "deposits/deposits.h"
#include "node/node_state.h"
#include "social/groups/groups.h"
#include "social/mail/mail_envelope.h"
#include "social/people/person_profiles.h"
#include "social/people/person_requests.h"
#include "social/write/social_write.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_people.h"

enum { ALICE, BOB, ANCHOR, MALLORY, MALLORY_2, PEOPLE };
#define RETURN_NS                                                                                  \
	(20 * NS_PER_S) /* Bob's node is up again: what was left for him is there by then */
#define HOUR_NS (3600 * NS_PER_S)

static const struct mem_link calm = {.delay_ns = 30 * NS_PER_MS};
static struct sim sim;
static uint8_t written[POST_ID_LEN];
static unsigned written_cnt, group_cnt;

static struct social *social_of(unsigned person)
{
	return sim.nodes[person].node->social;
}

static const uint8_t *key_of(unsigned person)
{
	return node_key_public(sim.nodes[person].key);
}

static const struct people_done no_done = {NULL, NULL};

static void pass(uint64_t ns)
{
	(void)sim_run(&sim, ns, NULL, NULL);
}

/* --- people and their anchor --- */

/* The node of person finds the anchor at its address, as after a session with it. */
static void anchor_know(unsigned person)
{
	const struct peer_places places = {.addrs = {sim.nodes[ANCHOR].addr}, .addr_cnt = 1};
	const struct social_route_hint hint = {.key = key_of(ANCHOR),
					       .tier = SOCIAL_TIER_ANCHOR,
					       .places = &places,
					       .introduced_by = person == BOB ? NULL : key_of(BOB)};

	if (social_route_note(social_routes_of(social_of(person)), &hint, sim.now_ns) < 0)
		abort();
}

static void anchor_choose(unsigned person)
{
	const struct profile_change profile = {
		.name = "Bob",
		.anchors = (const uint8_t(*)[NODE_KEY_LEN])key_of(ANCHOR),
		.anchor_cnt = 1};

	if (social_profile_set(social_people(social_of(person)), &profile, &no_done, sim.now_ns) <
	    0)
		abort();
	anchor_know(person);
	sim_wake(&sim.nodes[person]);
}

/* As a session between them would bring it. */
static void profile_give(unsigned of, unsigned to)
{
	static uint8_t bytes[32 << 10];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct profile_put put = {.bytes = bytes};

	if (social_profile_bytes(social_people(social_of(of)), key_of(of), &w) < 0)
		abort();
	put.len = writer_len(&w);
	if (social_profile_put(social_people(social_of(to)), &put, sim.now_ns) < 0)
		abort();
	sim_wake(&sim.nodes[to]);
}

static void nodes_up(unsigned cnt)
{
	sim_init(&sim, sim_seed(1), &calm);
	written_cnt = group_cnt = 0;
	for (unsigned i = 0; i < cnt; i++) {
		struct sim_node *node = sim_person_add(&sim);

		node->config.social.anchors.role = i == ANCHOR ? ANCHOR_ROLE_YES : ANCHOR_ROLE_NO;
		relay_messages_config_defaults(&node->config.relay_messages);
		deposits_config_defaults(&node->config.deposits);
		node->config.deposits.is_store = i == ANCHOR;
		node->config.deposits.room_len = DEPOSITS_ROOM_MIN;
		sim_start(node);
	}
	anchor_choose(BOB);
	pass(NS_PER_S);
	/* He does not follow her: her words are a request. */
	sim_follow(social_of(ALICE), key_of(BOB), sim.now_ns);
	for (unsigned i = 0; i < cnt; i++)
		if (i != BOB && i != ANCHOR) {
			profile_give(BOB, i);
			anchor_know(i);
		}
	pass(5 * NS_PER_S);
	sim_crash(&sim.nodes[BOB]);
}

/* --- words --- */

static void on_written(void *arg, int err, const uint8_t *id)
{
	(void)arg;
	if (err < 0)
		abort();
	memcpy(written, id, POST_ID_LEN);
	written_cnt++;
}

static bool is_written(void *arg)
{
	return written_cnt == *(unsigned *)arg;
}

/* Until it is durable, as weft dm send answers. */
static void send(const char *text)
{
	struct write_draft draft = {.intent = POST_TO_PEOPLE,
				    .people = (const uint8_t(*)[NODE_KEY_LEN])key_of(BOB),
				    .person_cnt = 1,
				    .is = PRIVATE_DIRECT,
				    .text = text,
				    .text_len = strlen(text),
				    .done = on_written};
	unsigned want = written_cnt + 1;

	if (social_write_post(social_write_of(social_of(ALICE)), &draft, sim.now_ns) < 0)
		abort();
	sim_wake(&sim.nodes[ALICE]);
	if (!sim_run(&sim, 10 * NS_PER_S, is_written, &want))
		abort();
}

static enum mail_state state_now(void)
{
	struct mail_view view;

	social_mail_look(social_mail_of(social_of(ALICE)), written, key_of(BOB), &view);
	if ((view.state == MAIL_LEFT) != (view.anchor_cnt == 1) ||
	    (view.state == MAIL_WAITS && !view.why))
		abort();
	return view.state;
}

static bool is_state(void *arg)
{
	return state_now() == *(enum mail_state *)arg;
}

static bool becomes(enum mail_state state, uint64_t within_ns)
{
	return sim_run(&sim, within_ns, is_state, &state);
}

static bool bob_has_it(void *arg)
{
	const uint8_t *id = arg;

	return sim.nodes[BOB].node &&
	       social_posts_known(social_posts_of(social_of(BOB)), id) == POST_HELD;
}

static bool comes(const uint8_t *id, uint64_t within_ns)
{
	return sim_run(&sim, within_ns, bob_has_it, (void *)(uintptr_t)id);
}

static uint64_t taken_cnt(void)
{
	struct intake_stats stats;

	social_intake_stats(social_intake_of(social_of(BOB)), &stats);
	return stats.taken_cnt;
}

static struct social_mail_stats mail_of(unsigned person)
{
	struct social_mail_stats stats;

	social_mail_stats(social_mail_of(social_of(person)), &stats);
	return stats;
}

static bool has_request(void)
{
	struct request_view view;

	return social_request_of(social_people(social_of(BOB)), key_of(ALICE), &view);
}

/* --- what goes through --- */

static void test_a_message_for_a_node_that_is_off_is_left_and_comes_once(void)
{
	uint64_t began_ns;

	nodes_up(ANCHOR + 1);
	send("hello");
	CHECK_EQ(state_now(), MAIL_WAITS);
	CHECK(becomes(MAIL_LEFT, 10 * NS_PER_S));
	sim_crash(&sim.nodes[ALICE]);
	pass(NS_PER_S);
	sim_crash(&sim.nodes[ANCHOR]);
	pass(NS_PER_S);
	sim_start(&sim.nodes[ANCHOR]);
	sim_start(&sim.nodes[BOB]);
	began_ns = sim.now_ns;
	CHECK(comes(written, RETURN_NS));
	printf("# there %llu ms after the start of its reader's node\n",
	       (unsigned long long)((sim.now_ns - began_ns) / NS_PER_MS));
	/* It is not followed: a request, apart from messages. */
	pass(NS_PER_S);
	CHECK(has_request());
	/* Crashes and further pulls bring nothing again. */
	sim_crash(&sim.nodes[BOB]);
	pass(NS_PER_S);
	sim_start(&sim.nodes[BOB]);
	pass(200 * NS_PER_S);
	CHECK_EQ(taken_cnt(), 0);
	CHECK_EQ(mail_of(BOB).came_cnt, 0);
	/* Alice's node comes back, and hears that it was opened. */
	sim_start(&sim.nodes[ALICE]);
	CHECK(becomes(MAIL_GIVEN, 60 * NS_PER_S));
	sim_fini(&sim);
}

static void test_what_was_acknowledged_is_left_after_a_crash(void)
{
	nodes_up(ANCHOR + 1);
	sim_crash(&sim.nodes[ANCHOR]); /* nothing can be left yet */
	send("hello");
	sim_crash(&sim.nodes[ALICE]);
	pass(NS_PER_S);
	sim_start(&sim.nodes[ANCHOR]);
	sim_start(&sim.nodes[ALICE]);
	CHECK(becomes(MAIL_LEFT, 60 * NS_PER_S));
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	CHECK(comes(written, RETURN_NS));
	pass(NS_PER_S);
	CHECK_EQ(taken_cnt(), 1);
	sim_fini(&sim);
}

static void test_a_message_is_kept_for_a_day_and_no_longer(void)
{
	for (unsigned hours = 23; hours <= 25; hours += 2) {
		nodes_up(ANCHOR + 1);
		send("hello");
		CHECK(becomes(MAIL_LEFT, 10 * NS_PER_S));
		sim_crash(&sim.nodes[ALICE]);
		pass(hours * HOUR_NS);
		sim_start(&sim.nodes[BOB]);
		CHECK_EQ(comes(written, 5 * RETURN_NS), hours < 24);
		sim_fini(&sim);
	}
}

static void test_one_that_is_deleted_is_taken_back(void)
{
	struct write_delete deletion = {.id = written};

	nodes_up(ANCHOR + 1);
	send("hello");
	CHECK(becomes(MAIL_LEFT, 10 * NS_PER_S));
	CHECK_EQ(social_write_delete(social_write_of(social_of(ALICE)), &deletion, sim.now_ns), 0);
	sim_wake(&sim.nodes[ALICE]);
	pass(20 * NS_PER_S);
	CHECK_EQ(mail_of(ALICE).waiting_cnt, 0);
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	pass(RETURN_NS);
	CHECK_EQ(social_posts_known(social_posts_of(social_of(BOB)), written), POST_GONE);
	sim_fini(&sim);
}

/* --- groups --- */

static void on_group(void *arg, int err)
{
	(void)arg;
	if (err < 0)
		abort();
	group_cnt++;
}

static bool group_is_done(void *arg)
{
	return group_cnt == *(unsigned *)arg;
}

static void group_wait(unsigned person)
{
	unsigned want = group_cnt + 1;

	sim_wake(&sim.nodes[person]);
	if (!sim_run(&sim, 10 * NS_PER_S, group_is_done, &want))
		abort();
	pass(2 * NS_PER_S);
}

static void invite_count(void *arg, const struct group_invite_view *view)
{
	(void)view;
	++*(unsigned *)arg;
}

static void test_an_invitation_and_a_new_key_of_a_group_come_by_the_anchor(void)
{
	uint8_t group[GROUP_ID_LEN];
	struct group_ask ask = {.members = (const uint8_t(*)[NODE_KEY_LEN])key_of(0),
				.member_cnt = 1,
				.role = GROUP_VIEWER,
				.name = "boats",
				.done = on_group};
	struct group_view view;
	unsigned invite_cnt = 0;

	nodes_up(ANCHOR + 1);
	ask.members = (const uint8_t(*)[NODE_KEY_LEN])key_of(BOB);
	CHECK_EQ(social_group_create(social_groups_of(social_of(ALICE)), &ask, sim.now_ns, group),
		 0);
	group_wait(ALICE);
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	pass(RETURN_NS);
	social_group_invites(social_groups_of(social_of(BOB)), invite_count, &invite_cnt);
	CHECK_EQ(invite_cnt, 1);
	ask.group = group;
	CHECK_EQ(social_group_accept(social_groups_of(social_of(BOB)), &ask, sim.now_ns), 0);
	group_wait(BOB);
	sim_crash(&sim.nodes[BOB]);
	/* A new key while Bob is off, and the admin's node dies right behind the answer. */
	sim_start(&sim.nodes[ALICE]);
	pass(NS_PER_S);
	CHECK_EQ(social_group_rekey(social_groups_of(social_of(ALICE)), &ask, sim.now_ns), 0);
	group_wait(ALICE);
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[ALICE]);
	pass(20 * NS_PER_S);
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	pass(RETURN_NS);
	CHECK(social_group_now(social_groups_of(social_of(BOB)), group, &view));
	CHECK_EQ(view.epoch, 1);
	CHECK(view.has_key);
	sim_fini(&sim);
}

/* --- bad input --- */

static unsigned dropped_cnt;

static void on_dropped(void *arg, int err)
{
	(void)arg;
	dropped_cnt += err == 0;
}

/* Mallory leaves junk of the right kind, sealed for Bob, in one unit of a place each. */
static void junk_leave(unsigned from, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		const uint8_t junk[] = {0xa1, 0x00, (uint8_t)i};
		const struct deposit_draft draft = {.store = key_of(ANCHOR),
						    .recipient = key_of(BOB),
						    .kind = DEPOSIT_SOCIAL,
						    .content = junk,
						    .len = sizeof(junk),
						    .expires_s = SIM_WALL_S + 86400,
						    .done = on_dropped};
		uint8_t id[DEPOSIT_ID_LEN];

		if (deposits_put_at(sim.nodes[from].node->deposits, &draft, sim.now_ns, id) < 0)
			abort();
	}
	sim_wake(&sim.nodes[from]);
}

static void test_words_get_in_where_others_filled_the_places_of_the_reader(void)
{
	struct deposits_stats stats;

	nodes_up(PEOPLE);
	/* One more than a reader has places for; by two keys. */
	junk_leave(MALLORY, DEPOSITS_PER_RECIPIENT / 2);
	junk_leave(MALLORY_2, DEPOSITS_PER_RECIPIENT / 2 + 1);
	pass(120 * NS_PER_S);
	deposits_stats(sim.nodes[ANCHOR].node->deposits, &stats);
	CHECK(stats.kept_cnt >= DEPOSITS_PER_RECIPIENT);
	CHECK(stats.refused_cnt + stats.evicted_cnt > 0);
	send("hello");
	CHECK(becomes(MAIL_LEFT, 20 * NS_PER_S));
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	CHECK(comes(written, 5 * RETURN_NS));
	CHECK(mail_of(BOB).malformed_cnt >= DEPOSITS_PER_RECIPIENT / 2);
	sim_fini(&sim);
}

static enum mail_verdict take(const uint8_t *recipient, const void *bytes, size_t len)
{
	const struct mail_arrival arrival = {
		.recipient = recipient, .bytes = bytes, .len = len, .ticket = 0};

	return social_mail_take(social_mail_of(social_of(BOB)), &arrival, sim.now_ns);
}

/* Alice's latest post as an envelope. */
static size_t envelope_of(uint8_t *out, size_t cap)
{
	struct mail_envelope envelope = {.kind = MAIL_POST};
	struct writer w = writer_of(out, cap);
	struct post_copy *copy;

	if (social_posts_read(social_posts_of(social_of(ALICE)), written, &copy) < 0)
		abort();
	envelope.parts = copy->parts;
	social_envelope_write(&w, &envelope);
	social_post_copy_free(copy);
	if (w.bad)
		abort();
	return writer_len(&w);
}

static void test_envelopes_are_judged_like_what_a_session_brings(void)
{
	static uint8_t bytes[MAIL_ENVELOPE_LEN_MAX + 1];
	size_t len;

	nodes_up(ANCHOR + 1);
	sim_start(&sim.nodes[BOB]);
	send("hello");
	len = envelope_of(bytes, sizeof(bytes));
	CHECK_EQ(take(key_of(ANCHOR), bytes, len), MAIL_UNFIT); /* for Bob, and not for that key */
	CHECK_EQ(mail_of(BOB).stray_cnt, 1);
	for (size_t cut = 0; cut < len; cut += 7)
		CHECK_EQ(take(key_of(BOB), bytes, cut), MAIL_UNFIT);
	bytes[len - 1] ^= 1; /* the signature of the readers */
	CHECK_EQ(take(key_of(BOB), bytes, len), MAIL_UNFIT);
	bytes[len - 1] ^= 1;
	CHECK_EQ(taken_cnt(), 0);
	CHECK_EQ(take(key_of(BOB), bytes, len), MAIL_TAKEN);
	pass(NS_PER_S);
	CHECK_EQ(take(key_of(BOB), bytes, len), MAIL_TAKEN); /* again: it is here */
	pass(NS_PER_S);
	CHECK_EQ(taken_cnt(), 1);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(take(key_of(BOB), bytes, sizeof(bytes)), MAIL_UNFIT);
	sim_fini(&sim);
}

static void test_words_of_a_clock_that_is_a_year_ahead_stay_at_the_anchor(void)
{
	nodes_up(ANCHOR + 1);
	sim_set_clock(&sim.nodes[ALICE], 365 * 86400);
	send("hello");
	CHECK(becomes(MAIL_LEFT, 60 * NS_PER_S));
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	CHECK(!comes(written, 5 * RETURN_NS));
	CHECK(mail_of(BOB).later_cnt > 0);
	CHECK_EQ(mail_of(BOB).taken_cnt, 0);
	sim_fini(&sim);
}

static void test_words_of_a_blocked_person_go(void)
{
	nodes_up(ANCHOR + 1);
	send("hello");
	CHECK(becomes(MAIL_LEFT, 10 * NS_PER_S));
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	CHECK_EQ(social_block_set(social_people(social_of(BOB)), key_of(ALICE), true, &no_done,
				  sim.now_ns),
		 0);
	CHECK(!comes(written, 5 * RETURN_NS));
	CHECK_EQ(mail_of(BOB).unwanted_cnt, 1);
	CHECK(!has_request());
	sim_fini(&sim);
}

/* The anchor is off: what is in the outbox then is given to none. */
static void test_words_that_wait_for_a_person_that_is_blocked_are_taken_back(void)
{
	nodes_up(ANCHOR + 1);
	sim_crash(&sim.nodes[ANCHOR]);
	send("hello");
	pass(5 * NS_PER_S);
	CHECK_EQ(state_now(), MAIL_WAITS);
	CHECK_EQ(mail_of(ALICE).waiting_cnt, 1);
	CHECK_EQ(mail_of(ALICE).left_cnt, 1);
	CHECK_EQ(social_block_set(social_people(social_of(ALICE)), key_of(BOB), true, &no_done,
				  sim.now_ns),
		 0);
	CHECK_EQ(mail_of(ALICE).waiting_cnt, 0);
	pass(NS_PER_S);
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[ANCHOR]);
	sim_start(&sim.nodes[ALICE]);
	pass(60 * NS_PER_S);
	CHECK_EQ(mail_of(ALICE).waiting_cnt, 0);
	sim_crash(&sim.nodes[ALICE]);
	sim_start(&sim.nodes[BOB]);
	CHECK(!comes(written, 5 * RETURN_NS));
	CHECK_EQ(mail_of(BOB).came_cnt, 0);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_message_for_a_node_that_is_off_is_left_and_comes_once);
	RUN(test_what_was_acknowledged_is_left_after_a_crash);
	RUN(test_a_message_is_kept_for_a_day_and_no_longer);
	RUN(test_one_that_is_deleted_is_taken_back);
	RUN(test_an_invitation_and_a_new_key_of_a_group_come_by_the_anchor);
	RUN(test_words_get_in_where_others_filled_the_places_of_the_reader);
	RUN(test_envelopes_are_judged_like_what_a_session_brings);
	RUN(test_words_of_a_clock_that_is_a_year_ahead_stay_at_the_anchor);
	RUN(test_words_of_a_blocked_person_go);
	RUN(test_words_that_wait_for_a_person_that_is_blocked_are_taken_back);
	return check_done();
}
