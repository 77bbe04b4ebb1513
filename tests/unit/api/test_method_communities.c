/* SPDX-License-Identifier: Apache-2.0 */
/* JoinCommunity and what members are shown, MakeCommunityToken; follows. */
#include "community/community.h"
#include "blobs/link.h"
#include "codec/text/zbase32.h"
#include "support/check.h"
#include "support/method_rig.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static struct method_rig rig;
static char parameters[2 * LINK_TEXT_CAP];
static char own_id[ZBASE32_KEY_TEXT_CAP], other_id[ZBASE32_KEY_TEXT_CAP];

static void begin(void)
{
	struct sim_node *other;

	method_rig_init(&rig, 51);
	method_rig_add(&rig);
	other = method_rig_add(&rig);
	other->config.sharing = rig.config->sharing;
	method_rig_start(&rig);
	zbase32_write(node_key_public(rig.node->key), NODE_KEY_LEN, own_id);
	zbase32_write(node_key_public(other->key), NODE_KEY_LEN, other_id);
}

static void on_created(void *arg, int err, uint64_t now_ns)
{
	(void)now_ns;
	*(int *)arg = err;
}

/* The second node makes a community; text is its link. */
static bool other_creates(bool is_strict, char text[static LINK_TEXT_CAP], uint8_t *out_id)
{
	struct sim_node *other = &rig.sim.nodes[1];
	struct communities *all = other->node->sharing->communities;
	struct link link;
	int err = 1;

	if (community_create(all,
			     &(struct community_join_ask){.name = "theirs",
							  .is_strict = is_strict,
							  .done = on_created,
							  .arg = &err},
			     rig.sim.now_ns, out_id) < 0)
		return false;
	sim_wake(other);
	(void)sim_run(&rig.sim, NS_PER_S, NULL, NULL);
	if (err != 0 || community_link(all, out_id, &link) < 0)
		return false;
	blobs_link_write(&link, text);
	return true;
}

static void test_a_community_is_listed_when_it_is_durable(void)
{
	struct communities *all;
	uint8_t id[COMMUNITY_ID_LEN];
	int err = 1;

	begin();
	all = rig.node->node->sharing->communities;
	CHECK_EQ(community_create(all,
				  &(struct community_join_ask){
					  .name = "mine", .done = on_created, .arg = &err},
				  rig.sim.now_ns, id),
		 0);
	/* The answer comes without a turn, and the store commits in one. */
	CHECK_STR(method_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(err, 1);
	CHECK_EQ(method_cnt(&rig, "communities"), 0);
	(void)sim_run(&rig.sim, NS_PER_S, NULL, NULL);
	CHECK_EQ(err, 0);
	CHECK_STR(method_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(method_cnt(&rig, "communities"), 1);
	method_rig_fini(&rig);
}

static void test_what_names_no_community_is_refused_with_the_next_step(void)
{
	static const struct method_row rows[] = {
		{"JoinCommunity", "{}", "Invalid", "what", "community", 0},
		{"JoinCommunity", "{'link':'zz'}", "Invalid", "code", NULL, WEFT_EMALFORMED},
		{"JoinCommunity", "{'community_id':'zz','key':'zz'}", "Invalid", "what", "zz", 0},
		{"JoinCommunity", "{'community_id':'zz'}", "Invalid", "what", "zz", 0},
		{"ListCommunities", NULL, NULL, "communities.0", "", 0},
	};
	char id[ZBASE32_KEY_TEXT_CAP];

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	memcpy(id, own_id, sizeof(id));
	id[51] = '\0';
	snprintf(parameters, sizeof(parameters), "{'community_id':'%s','key':'%s'}", own_id, id);
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "Invalid");
	CHECK_STR(method_text(&rig, "what"), own_id);
	/* An id is made from its key: these two are not of each other. */
	snprintf(parameters, sizeof(parameters), "{'community_id':'%s','key':'%s'}", own_id,
		 other_id);
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "Refused");
	CHECK_EQ(rig.code, WEFT_EREFUSED);
	CHECK_STR(method_text(&rig, "why"), "the id is not that of the key");
	CHECK_STR(method_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(method_cnt(&rig, "communities"), 0);
	method_rig_fini(&rig);
}

static void test_a_community_is_joined_by_link_and_keeps_its_name(void)
{
	char link[LINK_TEXT_CAP], id_text[ZBASE32_KEY_TEXT_CAP];
	uint8_t id[COMMUNITY_ID_LEN];

	begin();
	CHECK(other_creates(false, link, id));
	zbase32_write(id, sizeof(id), id_text);
	snprintf(parameters, sizeof(parameters), "{'link':'%s'}", link);
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "");
	CHECK_STR(method_text(&rig, "community.community_id"), id_text);
	CHECK_EQ(method_number(&rig, "community.ours"), 0);
	CHECK_EQ(method_number(&rig, "community.strict"), 0);
	/* Without a name it is called by the first letters of its id. */
	CHECK_EQ(strlen(method_text(&rig, "community.name")), 12);
	CHECK(strncmp(method_text(&rig, "community.name"), id_text, 12) == 0);
	snprintf(parameters, sizeof(parameters), "{'link':'%s','name':'club'}", link);
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "");
	CHECK_STR(method_text(&rig, "community.name"), "club");
	snprintf(parameters, sizeof(parameters), "{'link':'%s'}", link);
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "");
	CHECK_STR(method_text(&rig, "community.name"), "club");
	CHECK_STR(method_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(method_cnt(&rig, "communities"), 1);
	/* The other's key signs tokens, not this node's. */
	snprintf(parameters, sizeof(parameters), "{'name':'club','node_id':'%s'}", other_id);
	CHECK_STR(method_ask(&rig, "MakeCommunityToken", parameters), "Refused");
	CHECK_STR(method_text(&rig, "why"), "its key is not on this node");
	method_rig_fini(&rig);
}

static void test_a_token_lives_as_long_as_asked_and_not_beyond_30_days(void)
{
	static const struct {
		const char *for_s;
		long long life_s; /* 0: refused */
	} rows[] = {
		{"", 30 * 86400},	 {",'for_s':0", 30 * 86400},
		{",'for_s':1", 1},	 {",'for_s':2592000", 2592000},
		{",'for_s':2592001", 0}, {",'for_s':-1", 0},
	};

	begin();
	CHECK_STR(method_ask(&rig, "CreateCommunity", "{'name':'club','strict':true}"), "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long long now_s = (long long)(node_wall_us(rig.node->node) / 1000000);
		const char *error;

		snprintf(parameters, sizeof(parameters), "{'name':'club','node_id':'%s'%s}",
			 other_id, rows[i].for_s);
		error = method_ask(&rig, "MakeCommunityToken", parameters);
		CHECK_STR(error, rows[i].life_s ? "" : "Invalid");
		if (!rows[i].life_s) {
			CHECK_STR(method_text(&rig, "what"), "for");
			continue;
		}
		CHECK(strlen(method_text(&rig, "token")) > 64);
		CHECK(method_number(&rig, "expires_s") - now_s >= rows[i].life_s);
		CHECK(method_number(&rig, "expires_s") - now_s <= rows[i].life_s + 1);
	}
	method_rig_fini(&rig);
}

static void test_a_strict_community_takes_a_token_of_its_own_for_this_node_alone(void)
{
	uint8_t id[COMMUNITY_ID_LEN], token[COMMUNITY_TOKEN_LEN_MAX], wrong[NODE_KEY_LEN] = {9};
	char link[LINK_TEXT_CAP], text[ZBASE32_TEXT_LEN(COMMUNITY_TOKEN_LEN_MAX) + 1];
	struct communities *all;
	uint64_t until_s;
	int len;

	begin();
	CHECK(other_creates(true, link, id));
	all = rig.sim.nodes[1].node->sharing->communities;
	until_s = node_wall_us(rig.node->node) / 1000000 + 3600;
	len = community_token(all, id, wrong, until_s, token);
	CHECK(len > 0);
	snprintf(parameters, sizeof(parameters), "{'link':'%s','name':'club','token':'%s'}", link,
		 zbase32_write(token, (size_t)len, text));
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "NotVerified");
	CHECK_EQ(rig.code, WEFT_EDAMAGED);
	snprintf(parameters, sizeof(parameters), "{'link':'%s','name':'club','token':'!'}", link);
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "Invalid");
	CHECK_STR(method_text(&rig, "what"), "token");
	len = community_token(all, id, node_key_public(rig.node->key), until_s, token);
	CHECK(len > 0);
	snprintf(parameters, sizeof(parameters),
		 "{'link':'%s','name':'club','strict':true,'token':'%s'}", link,
		 zbase32_write(token, (size_t)len, text));
	CHECK_STR(method_ask(&rig, "JoinCommunity", parameters), "");
	CHECK_EQ(method_number(&rig, "community.strict"), 1);
	CHECK_EQ(method_number(&rig, "community.token_expires_s"), (long long)until_s);
	method_rig_fini(&rig);
}

static void test_follows_are_asked_about_by_what_names_them(void)
{
	static const struct method_row rows[] = {
		{"ListFollows", NULL, NULL, "follows.0", "", 0},
		{"SyncFollows", NULL, NULL, "follows.0", "", 0},
		{"SyncFollows", "{'share':'none'}", "NotFound", "what", "none", 0},
		{"SearchCommunity", "{'name':'none','words':'x'}", "NotFound", "what", "none", 0},
		{"ListNodeShares", "{'node_id':'zz'}", "Invalid", "what", "zz", 0},
		{"WatchLoad", NULL, NULL, "mode", "normal", 0},
		{"WatchLoad", NULL, NULL, "workers.0.worker", NULL, 0},
		{"WatchLoad", NULL, NULL, "workers.1", "", 0},
		{"WatchLoad", "{'interval_ms':100}", NULL, "mode", "normal", 0},
		{"WatchLoad", "{'interval_ms':3600000}", NULL, "mode", "normal", 0},
		{"WatchLoad", "{'interval_ms':0}", "InvalidParameter", "parameter", "interval_ms",
		 0},
		{"WatchLoad", "{'interval_ms':99}", "InvalidParameter", "parameter", "interval_ms",
		 0},
		{"WatchLoad", "{'interval_ms':3600001}", "InvalidParameter", "parameter",
		 "interval_ms", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_community_is_listed_when_it_is_durable);
	RUN(test_what_names_no_community_is_refused_with_the_next_step);
	RUN(test_a_community_is_joined_by_link_and_keeps_its_name);
	RUN(test_a_token_lives_as_long_as_asked_and_not_beyond_30_days);
	RUN(test_a_strict_community_takes_a_token_of_its_own_for_this_node_alone);
	RUN(test_follows_are_asked_about_by_what_names_them);
	return check_done();
}
