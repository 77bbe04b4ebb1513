/* SPDX-License-Identifier: Apache-2.0 */
/* Blocklists of followed shares: whose count, what they block, and when they change. */
#include "codec/text/hex.h"
#include "follow_publisher.h"

static struct frig rig;
static struct frig_share lister, victim;
static const uint8_t content_id[32] = {0xc0, 0xff, 0xee};

static void begin(void)
{
	frig_init(&rig);
	frig_share_init(&lister, 1);
	frig_share_init(&victim, 2);
}

static void end(void)
{
	frig_share_fini(&lister);
	frig_share_fini(&victim);
	frig_fini(&rig);
}

static const struct follow *shown(const struct frig_share *share)
{
	return shares_follow_lookup(rig.follows, share->id);
}

static const char *list_text(void)
{
	static char text[256];
	char share[ZBASE32_KEY_TEXT_CAP], content[HEX_TEXT_CAP(32)];

	snprintf(text, sizeof(text), "# bad\nshare %s\ncontent %s\n",
		 zbase32_write(victim.id, 32, share), hex_write(content_id, 32, content));
	return text;
}

static void list_publish(uint64_t seq, const char *text, uint64_t part_cnt)
{
	frig_publish(&rig, &lister,
		     &(struct frig_revision){.seq = seq, .blocklist = text, .part_cnt = part_cnt});
	frig_head_at(&rig, 0, &lister);
}

static bool is_blocked(enum blocklist_kind kind, const uint8_t *id)
{
	return shares_follow_blocker(rig.follows, kind, id) != NULL;
}

static void sync_done(void *arg, const struct follow_synced *synced, uint64_t now_ns)
{
	(void)synced, (void)now_ns;
	*(bool *)arg = true;
}

static void sync_now(const struct frig_share *share)
{
	struct follow_sync *sync;
	bool is_done = false;

	if (shares_follow_sync_start(rig.follows, share->id,
				     (struct follow_caller){sync_done, &is_done}, rig.now_ns,
				     &sync) < 0)
		abort();
	while (!is_done)
		frig_run(&rig, NS_PER_S);
}

/* The victim is followed first, of node 1; then the lister. */
static bool victim_follow(enum follow_tier tier)
{
	struct link link = frig_link(&victim, 2);
	struct follow_ask ask = {.link = &link, .name = "", .tier = tier, .weight = 100};

	frig_publish(&rig, &victim, &(struct frig_revision){.seq = 1});
	frig_head_at(&rig, 1, &victim);
	if (shares_follow_add(rig.follows, &ask, NULL, NULL) < 0)
		return false;
	frig_run(&rig, 5 * NS_PER_S);
	return shown(&victim)->is_used;
}

static void test_a_followed_blocklist_blocks_shares_and_contents(void)
{
	for (uint64_t part_cnt = 0; part_cnt <= 3; part_cnt += 3) {
		begin();
		CHECK(victim_follow(FOLLOW_NORMAL));
		list_publish(1, list_text(), part_cnt);
		CHECK(!is_blocked(BLOCKLIST_CONTENT, content_id));
		CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
		CHECK(shown(&lister)->has_blocklist);
		CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
		CHECK(is_blocked(BLOCKLIST_SHARE, victim.id));
		CHECK(!is_blocked(BLOCKLIST_SHARE, lister.id));
		CHECK_EQ(shown(&victim)->state, FOLLOW_BLOCKED);
		CHECK(!shown(&victim)->is_used);
		frig_close(&rig);
		frig_open(&rig);
		CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
		CHECK_EQ(shown(&victim)->state, FOLLOW_BLOCKED);
		/* And lets go of all when it is not followed any more. */
		CHECK_EQ(shares_follow_remove(rig.follows, lister.id, NULL, NULL), 0);
		frig_run(&rig, NS_PER_S);
		CHECK(!is_blocked(BLOCKLIST_CONTENT, content_id));
		CHECK_EQ(shown(&victim)->state, FOLLOW_CURRENT);
		CHECK(shown(&victim)->is_used);
		end();
	}
}

static void test_the_next_revision_brings_another_list_or_none(void)
{
	begin();
	list_publish(1, list_text(), 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
	list_publish(2, "# all is well", 0);
	sync_now(&lister);
	CHECK(shown(&lister)->has_blocklist);
	CHECK(!is_blocked(BLOCKLIST_CONTENT, content_id));
	list_publish(3, list_text(), 2);
	sync_now(&lister);
	CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
	list_publish(4, NULL, 0);
	sync_now(&lister);
	CHECK(!shown(&lister)->has_blocklist);
	CHECK(!is_blocked(BLOCKLIST_CONTENT, content_id));
	end();
}

static void test_an_untrusted_list_does_not_count_and_a_trusted_share_is_not_blocked(void)
{
	enum follow_tier tier = FOLLOW_UNTRUSTED;

	begin();
	CHECK(victim_follow(FOLLOW_TRUSTED));
	list_publish(1, list_text(), 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
	CHECK_EQ(shown(&victim)->state, FOLLOW_CURRENT);
	CHECK_EQ(shares_follow_set(rig.follows, lister.id, &(struct follow_change){.tier = &tier},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK(!is_blocked(BLOCKLIST_CONTENT, content_id));
	tier = FOLLOW_NORMAL;
	CHECK_EQ(shares_follow_set(rig.follows, victim.id, &(struct follow_change){.tier = &tier},
				   NULL, NULL),
		 0);
	CHECK_EQ(shares_follow_set(rig.follows, lister.id, &(struct follow_change){.tier = &tier},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shown(&victim)->state, FOLLOW_BLOCKED);
	end();
}

/* Nothing of a share that is blocked is fetched; when it is let go, it is. */
static void test_a_blocked_share_is_not_fetched(void)
{
	unsigned asked_cnt;

	begin();
	list_publish(1, list_text(), 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	frig_publish(&rig, &victim, &(struct frig_revision){.seq = 1});
	frig_head_at(&rig, 0, &victim);
	asked_cnt = rig.nodes[0].object_asked_cnt;
	CHECK_EQ(frig_follow(&rig, &victim, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown(&victim)->state, FOLLOW_BLOCKED);
	CHECK_EQ(shown(&victim)->head.seq, 1);
	CHECK_EQ(rig.nodes[0].object_asked_cnt, asked_cnt);
	CHECK_EQ(shares_follow_remove(rig.follows, lister.id, NULL, NULL), 0);
	frig_run(&rig, NS_PER_S);
	sync_now(&victim);
	CHECK_EQ(shown(&victim)->state, FOLLOW_CURRENT);
	end();
}

static void test_two_lists_that_block_each_other_both_count(void)
{
	char text[256], id[ZBASE32_KEY_TEXT_CAP];

	begin();
	list_publish(1, list_text(), 0);
	snprintf(text, sizeof(text), "share %s", zbase32_write(lister.id, 32, id));
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shares_follow_remove(rig.follows, lister.id, NULL, NULL), 0);
	frig_run(&rig, NS_PER_S);
	frig_publish(&rig, &victim, &(struct frig_revision){.seq = 1, .blocklist = text});
	frig_head_at(&rig, 0, &victim);
	CHECK_EQ(frig_follow(&rig, &victim, 1, FOLLOW_NORMAL), 0);
	CHECK(is_blocked(BLOCKLIST_SHARE, lister.id));
	frig_head_at(&rig, 0, &lister);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_TRUSTED), 0);
	CHECK_EQ(shown(&victim)->state, FOLLOW_BLOCKED);
	CHECK_EQ(shares_follow_set(
			 rig.follows, lister.id,
			 &(struct follow_change){.tier = &(enum follow_tier){FOLLOW_NORMAL}}, NULL,
			 NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shown(&lister)->state, FOLLOW_BLOCKED);
	CHECK_EQ(shown(&victim)->state, FOLLOW_BLOCKED);
	end();
}

static void test_an_invalid_list_is_reported_with_its_line(void)
{
	begin();
	list_publish(1, "# one\n\nblock everything\n", 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(shown(&lister)->state, FOLLOW_CURRENT);
	CHECK(!shown(&lister)->has_blocklist);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_BAD_BLOCKLIST), 1);
	CHECK_EQ(rig.told[0].seq, 3);
	end();
}

static void test_a_bad_line_leaves_the_others_in_force(void)
{
	char text[400];

	begin();
	snprintf(text, sizeof(text), "%s\nblock everything\n", list_text());
	list_publish(1, text, 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	for (unsigned round = 0; round < 2; round++) {
		CHECK(shown(&lister)->has_blocklist);
		CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
		CHECK_EQ(shown(&lister)->fault.line_cnt, 1);
		CHECK(strstr(shown(&lister)->fault.why, "neither share nor content"));
		CHECK_EQ(frig_told_cnt(&rig, FOLLOW_BAD_BLOCKLIST), 1);
		frig_close(&rig);
		frig_open(&rig);
	}
	list_publish(2, "# all is well", 0);
	sync_now(&lister);
	CHECK_EQ(shown(&lister)->fault.line_cnt, 0);
	list_publish(3, text, 0);
	sync_now(&lister);
	CHECK_EQ(shown(&lister)->fault.line_cnt, 1);
	list_publish(4, NULL, 0);
	sync_now(&lister);
	CHECK_EQ(shown(&lister)->fault.line_cnt, 0);
	end();
}

static void test_a_list_has_one_chunk_and_not_one_byte_more(void)
{
	char *text = malloc(BLOCKLIST_LEN_MAX + 2);

	begin();
	CHECK(text);
	memset(text, '#', BLOCKLIST_LEN_MAX + 1);
	text[BLOCKLIST_LEN_MAX + 1] = '\0';
	list_publish(1, text, 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_BAD_BLOCKLIST), 1);
	CHECK_EQ(rig.told[0].err, WEFT_ETOOLARGE);
	text[BLOCKLIST_LEN_MAX] = '\0';
	list_publish(2, text, 0);
	sync_now(&lister);
	CHECK(shown(&lister)->has_blocklist);
	CHECK_EQ(frig_told_cnt(&rig, FOLLOW_BAD_BLOCKLIST), 1);
	free(text);
	end();
}

/* The revision counts without it; the former list holds until the new one is had. */
static void test_a_list_that_cannot_be_had_now_is_asked_for_again(void)
{
	begin();
	list_publish(1, list_text(), 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	list_publish(2, "# nothing", 0);
	rig.nodes[0].objects &= ~(1u << (rig.object_cnt - 2)); /* the list, before the manifest */
	sync_now(&lister);
	CHECK_EQ(shown(&lister)->revisions[0].seq, 2);
	CHECK(is_blocked(BLOCKLIST_CONTENT, content_id));
	frig_close(&rig);
	frig_open(&rig);
	rig.nodes[0].objects = UINT32_MAX;
	frig_run(&rig, 60 * NS_PER_S);
	CHECK_EQ(shown(&lister)->revision_cnt, 2);
	CHECK(shown(&lister)->has_blocklist);
	CHECK(!is_blocked(BLOCKLIST_CONTENT, content_id));
	end();
}

/* A component that copies what is blocked, as search does, goes by this stamp. */
static void test_the_stamp_changes_with_the_lists_that_count(void)
{
	enum follow_tier tier = FOLLOW_UNTRUSTED;
	uint64_t stamp;

	begin();
	stamp = shares_follows_blocked_stamp(rig.follows);
	CHECK(victim_follow(FOLLOW_NORMAL));
	frig_publish(&rig, &victim, &(struct frig_revision){.seq = 2});
	frig_head_at(&rig, 1, &victim);
	sync_now(&victim);
	CHECK_EQ(shares_follows_blocked_stamp(rig.follows), stamp);
	list_publish(1, list_text(), 0);
	CHECK_EQ(frig_follow(&rig, &lister, 1, FOLLOW_NORMAL), 0);
	CHECK(shares_follows_blocked_stamp(rig.follows) != stamp);
	stamp = shares_follows_blocked_stamp(rig.follows);
	sync_now(&lister);
	list_publish(2, list_text(), 0); /* another revision, the same list */
	sync_now(&lister);
	frig_run(&rig, 3600 * NS_PER_S);
	CHECK_EQ(shares_follows_blocked_stamp(rig.follows), stamp);
	list_publish(3, "# all is well", 0);
	sync_now(&lister);
	CHECK(shares_follows_blocked_stamp(rig.follows) != stamp);
	stamp = shares_follows_blocked_stamp(rig.follows);
	CHECK_EQ(shares_follow_set(rig.follows, lister.id, &(struct follow_change){.tier = &tier},
				   NULL, NULL),
		 0);
	frig_run(&rig, NS_PER_S);
	CHECK(shares_follows_blocked_stamp(rig.follows) != stamp);
	stamp = shares_follows_blocked_stamp(rig.follows);
	CHECK_EQ(shares_follow_remove(rig.follows, lister.id, NULL, NULL), 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(shares_follows_blocked_stamp(rig.follows), stamp); /* it did not count any more */
	end();
}

int main(void)
{
	RUN(test_the_stamp_changes_with_the_lists_that_count);
	RUN(test_a_followed_blocklist_blocks_shares_and_contents);
	RUN(test_the_next_revision_brings_another_list_or_none);
	RUN(test_an_untrusted_list_does_not_count_and_a_trusted_share_is_not_blocked);
	RUN(test_a_blocked_share_is_not_fetched);
	RUN(test_two_lists_that_block_each_other_both_count);
	RUN(test_an_invalid_list_is_reported_with_its_line);
	RUN(test_a_bad_line_leaves_the_others_in_force);
	RUN(test_a_list_has_one_chunk_and_not_one_byte_more);
	RUN(test_a_list_that_cannot_be_had_now_is_asked_for_again);
	return check_done();
}
