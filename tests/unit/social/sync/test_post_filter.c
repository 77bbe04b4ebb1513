/* SPDX-License-Identifier: Apache-2.0 */
/* Which post goes to which requester: the truth table of the four rules, and their order. */
#include "social/sync/post_filter.h"

#include <string.h>

#include "support/check.h"

enum { ALICE = 1, BOB, CAROL, DAVE };
static uint8_t keys[5][NODE_KEY_LEN];
static const uint8_t crew[32] = {7}, other_crew[32] = {8};

/* The requester is Bob. What he said of himself: */
struct said {
	unsigned followed;		      /* an author, or 0 */
	const uint8_t *member;		      /* of this group, at epoch 3 */
	unsigned asked_follows, asked_member; /* how often the filter looked */
};

static bool follows(void *ctx, const uint8_t *author)
{
	struct said *said = ctx;

	said->asked_follows++;
	return said->followed && memcmp(author, keys[said->followed], NODE_KEY_LEN) == 0;
}

static bool is_member(void *ctx, const uint8_t *group, uint64_t epoch)
{
	struct said *said = ctx;

	said->asked_member++;
	return said->member && memcmp(said->member, group, 32) == 0 && epoch == 3;
}

static void recipients_set(struct visibility *visibility, unsigned who)
{
	/* Bits of people, ascending by key as on the wire. */
	for (unsigned i = ALICE; i <= DAVE; i++)
		if (who >> i & 1)
			memcpy(visibility->recipients[visibility->recipient_cnt++].reader, keys[i],
			       NODE_KEY_LEN);
}

#define WHO(name) (1u << (name))
static const struct {
	unsigned author;
	enum visibility_kind kind;
	unsigned followed, recipients;
	const uint8_t *group, *member;
	uint64_t epoch;
	bool may;
	const char *why;
} rows[] = {
	{.author = BOB, .kind = VISIBILITY_PUBLIC, .may = true, .why = "his own, public"},
	{.author = BOB,
	 .kind = VISIBILITY_RECIPIENTS,
	 .recipients = WHO(CAROL),
	 .may = true,
	 .why = "his own, though he is no reader"},
	{.author = BOB,
	 .kind = VISIBILITY_RECIPIENTS,
	 .may = true,
	 .why = "his own, for no reader"},
	{.author = BOB,
	 .kind = VISIBILITY_GROUP,
	 .group = crew,
	 .epoch = 3,
	 .may = true,
	 .why = "his own, of a group that he left"},
	{.author = ALICE,
	 .kind = VISIBILITY_PUBLIC,
	 .followed = ALICE,
	 .may = true,
	 .why = "public, of an author that he follows"},
	{.author = ALICE,
	 .kind = VISIBILITY_PUBLIC,
	 .may = false,
	 .why = "public, and he follows no author"},
	{.author = ALICE,
	 .kind = VISIBILITY_PUBLIC,
	 .followed = CAROL,
	 .may = false,
	 .why = "public, and he follows another author"},
	{.author = ALICE,
	 .kind = VISIBILITY_RECIPIENTS,
	 .recipients = WHO(BOB),
	 .may = true,
	 .why = "he is the reader"},
	{.author = ALICE,
	 .kind = VISIBILITY_RECIPIENTS,
	 .recipients = WHO(ALICE) | WHO(BOB) | WHO(DAVE),
	 .may = true,
	 .why = "he is one of three"},
	{.author = ALICE,
	 .kind = VISIBILITY_RECIPIENTS,
	 .recipients = WHO(CAROL) | WHO(DAVE),
	 .followed = ALICE,
	 .may = false,
	 .why = "to follow an author opens no private post"},
	{.author = ALICE,
	 .kind = VISIBILITY_RECIPIENTS,
	 .followed = ALICE,
	 .may = false,
	 .why = "a private post for no reader"},
	{.author = ALICE,
	 .kind = VISIBILITY_GROUP,
	 .group = crew,
	 .member = crew,
	 .epoch = 3,
	 .may = true,
	 .why = "he is in the group at that epoch"},
	{.author = ALICE,
	 .kind = VISIBILITY_GROUP,
	 .group = crew,
	 .member = crew,
	 .epoch = 4,
	 .may = false,
	 .why = "he is not in the group any more"},
	{.author = ALICE,
	 .kind = VISIBILITY_GROUP,
	 .group = crew,
	 .member = other_crew,
	 .epoch = 3,
	 .may = false,
	 .why = "he is in another group"},
	{.author = ALICE,
	 .kind = VISIBILITY_GROUP,
	 .group = crew,
	 .followed = ALICE,
	 .epoch = 3,
	 .may = false,
	 .why = "to follow an author opens no post of a group"},
	/* Fields of another kind say nothing. */
	{.author = ALICE,
	 .kind = VISIBILITY_PUBLIC,
	 .recipients = WHO(BOB),
	 .may = false,
	 .why = "public: recipients do not count"},
	{.author = ALICE,
	 .kind = VISIBILITY_RECIPIENTS,
	 .group = crew,
	 .member = crew,
	 .epoch = 3,
	 .may = false,
	 .why = "for recipients: a group does not count"},
	{.author = ALICE,
	 .kind = VISIBILITY_GROUP,
	 .recipients = WHO(BOB),
	 .may = false,
	 .why = "for a group: recipients do not count"},
	{.author = ALICE,
	 .kind = (enum visibility_kind)(VISIBILITY_GROUP + 1),
	 .recipients = WHO(BOB),
	 .followed = ALICE,
	 .member = crew,
	 .group = crew,
	 .epoch = 3,
	 .may = false,
	 .why = "a kind that a later version may add"},
};

static void test_the_four_rules_give_what_the_table_says(void)
{
	static struct visibility visibility;

	for (unsigned i = ALICE; i <= DAVE; i++)
		keys[i][0] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct said said = {.followed = rows[i].followed, .member = rows[i].member};
		const struct post_requester bob = {keys[BOB], follows, is_member, &said};
		bool may;

		memset(&visibility, 0, sizeof(visibility));
		visibility.kind = rows[i].kind;
		visibility.group.epoch = rows[i].epoch;
		if (rows[i].group)
			memcpy(visibility.group.group, rows[i].group, 32);
		recipients_set(&visibility, rows[i].recipients);
		may = social_may_have(&bob, keys[rows[i].author], &visibility);
		if (may != rows[i].may)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(may, rows[i].may);
		/* One rule decides, and no other is looked at. */
		CHECK_EQ(said.asked_follows,
			 rows[i].author != BOB && rows[i].kind == VISIBILITY_PUBLIC);
		CHECK_EQ(said.asked_member,
			 rows[i].author != BOB && rows[i].kind == VISIBILITY_GROUP);
	}
}

static void test_each_of_500_recipients_may_have_a_post_and_no_other(void)
{
	static struct visibility visibility;
	uint8_t key[NODE_KEY_LEN] = {0}, author[NODE_KEY_LEN] = {0xee};
	struct said said = {.followed = 0};
	const struct post_requester requester = {key, follows, is_member, &said};

	visibility.kind = VISIBILITY_RECIPIENTS;
	visibility.recipient_cnt = VISIBILITY_RECIPIENTS_MAX;
	for (unsigned i = 0; i < VISIBILITY_RECIPIENTS_MAX; i++) {
		visibility.recipients[i].reader[0] = (uint8_t)((2 * i + 1) >> 8);
		visibility.recipients[i].reader[1] = (uint8_t)(2 * i + 1);
	}
	for (unsigned i = 0; i <= 2 * VISIBILITY_RECIPIENTS_MAX; i++) {
		key[0] = (uint8_t)(i >> 8);
		key[1] = (uint8_t)i;
		CHECK_EQ(social_may_have(&requester, author, &visibility), i % 2 == 1);
	}
}

int main(void)
{
	RUN(test_the_four_rules_give_what_the_table_says);
	RUN(test_each_of_500_recipients_may_have_a_post_and_no_other);
	return check_done();
}
