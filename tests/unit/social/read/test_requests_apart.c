/* SPDX-License-Identifier: Apache-2.0 */
/* Words of an unknown person are in no thread, feed, watch or event; those of one that is wanted are. */
#include "social/read/social_read.h"

#include "../post_rig.h"
#include "social/people/people.h"
#include "social/write/post_make.h"

enum { OWN, AUTHOR };

static struct people *people;
static struct social_read *reader;
static struct feed_watch watch;
static unsigned event_cnts[SOCIAL_EVENT_CNT];
static unsigned watched_cnt;

static void on_happened(void *ctx, const struct social_event *event)
{
	(void)ctx;
	event_cnts[event->kind]++;
}

static bool on_opened(void *arg, const struct opened_post *opened)
{
	(void)opened;
	++*(unsigned *)arg;
	return true;
}

static bool on_thread(void *arg, const struct direct_parties *parties,
		      const struct opened_post *newest, unsigned unread_cnt)
{
	(void)parties, (void)newest, (void)unread_cnt;
	++*(unsigned *)arg;
	return true;
}

static void begin(void)
{
	struct social_read_params params = {.ground = &rig_ground};

	rig_begin();
	rig_ground.happened = on_happened;
	memset(event_cnts, 0, sizeof(event_cnts));
	watched_cnt = 0;
	if (social_people_open(&(struct people_params){&rig_ground, rig_now_ns}, &people) < 0)
		abort();
	params.posts = rig_posts;
	params.people = people;
	params.now_ns = rig_now_ns;
	if (social_read_new(&params, &reader) < 0)
		abort();
	watch = (struct feed_watch){.fn = on_opened, .arg = &watched_cnt};
	CHECK_EQ(social_feed_watch(reader, &watch), 0);
}

static void end(void)
{
	social_feed_unwatch(reader, &watch);
	social_read_free(reader);
	social_people_close(people);
	rig_end();
}

/* A post of AUTHOR for the person of this node, in share. A message begins with U+0002. */
static void write(const char *text, bool is_mention, enum post_share share)
{
	struct post_making making = {.author = rig_people[AUTHOR],
				     .audience = {.kind = VISIBILITY_RECIPIENTS, .reader_cnt = 1},
				     .time_ms = RIG_WALL_MS,
				     .text = text,
				     .text_len = strlen(text),
				     .mention_cnt = is_mention};
	struct post_put put = {.share = share, .class = FAIR_UNKNOWN, .done = rig_done};
	uint8_t own[1][NODE_KEY_LEN];
	struct judged_post *judged;
	struct made_post *made;

	memcpy(own[0], rig_key(OWN), NODE_KEY_LEN);
	making.audience.readers = making.mentions = (const uint8_t(*)[NODE_KEY_LEN])own;
	if (social_post_make(&making, &rig_dice, &made) < 0)
		abort();
	put.parts = (struct post_parts){made->post,	made->claim,	 made->visibility,
					made->post_len, made->claim_len, made->visibility_len};
	put.marks = POST_READABLE | (is_mention ? POST_MENTIONS_ME : 0);
	if (social_post_judge(&put.parts, &judged) < 0)
		abort();
	put.judged = judged;
	CHECK_EQ(social_posts_put(rig_posts, &put, rig_now_ns), 0);
	social_judged_free(judged);
	social_made_post_free(made);
	rig_settle();
	rig_settle();
}

static unsigned thread_cnt(void)
{
	struct post_cursor next;
	unsigned cnt = 0;

	if (social_directs_each(reader, NULL, on_thread, &cnt, &next) != 0)
		abort();
	return cnt;
}

static unsigned named_cnt(void)
{
	static struct direct_parties parties;
	const struct direct_ask ask = {.limit = 9, .parties = &parties};
	struct post_cursor next;
	unsigned cnt = 0;

	parties.cnt = 2;
	memcpy(parties.keys[0], rig_key(OWN), NODE_KEY_LEN);
	memcpy(parties.keys[1], rig_key(AUTHOR), NODE_KEY_LEN);
	social_direct_sort(&parties);
	if (social_direct_page(reader, &ask, on_opened, &cnt, &next) != 0)
		abort();
	return cnt;
}

static unsigned feed_cnt(void)
{
	const struct feed_ask ask = {.limit = 9};
	struct post_cursor next;
	unsigned cnt = 0;

	if (social_feed_page(reader, &ask, on_opened, &cnt, &next) != 0)
		abort();
	return cnt;
}

static void test_a_message_of_an_unknown_person_shows_by_its_name_alone(void)
{
	begin();
	write("\x02hello", true, POST_ADDRESSED);
	CHECK_EQ(thread_cnt(), 0);
	CHECK_EQ(named_cnt(), 1);
	CHECK_EQ(event_cnts[SOCIAL_DM_NEW], 0);
	write("\x02 and so", true, POST_WANTED);
	CHECK_EQ(thread_cnt(), 1);
	CHECK_EQ(named_cnt(), 2);
	CHECK_EQ(event_cnts[SOCIAL_DM_NEW], 1);
	end();
}

static void test_a_private_post_of_an_unknown_person_is_in_no_feed(void)
{
	begin();
	write("hello", false, POST_ADDRESSED);
	write("you", true, POST_ADDRESSED);
	CHECK_EQ(feed_cnt(), 0);
	CHECK_EQ(watched_cnt, 0);
	CHECK_EQ(event_cnts[SOCIAL_POST_NEW] + event_cnts[SOCIAL_POST_MENTION], 0);
	write("friend", false, POST_WANTED);
	CHECK_EQ(feed_cnt(), 1);
	CHECK_EQ(watched_cnt, 1);
	CHECK_EQ(event_cnts[SOCIAL_POST_NEW], 1);
	end();
}

int main(void)
{
	RUN(test_a_message_of_an_unknown_person_shows_by_its_name_alone);
	RUN(test_a_private_post_of_an_unknown_person_is_in_no_feed);
	return check_done();
}
