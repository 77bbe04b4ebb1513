/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that have a share are asked for its newest head before a revision is made. */
#include "publish_rig.h"

static void members_note(struct publish_rig *p, const uint8_t *manifest_id, unsigned first,
			 unsigned cnt)
{
	struct blobs_member member = {.from = {.family = ADDR_IPV4, .port = 7000}};

	memcpy(member.id, manifest_id, sizeof(member.id));
	for (unsigned i = first; i < first + cnt; i++) {
		member.key[0] = (uint8_t)(i + 1);
		member.from.ip[0] = 10;
		member.from.ip[1] = (uint8_t)i;
		blobs_note_member(p->rig.content, &member, p->rig.now_ns);
	}
}

static unsigned asked_cnt(const struct publish_rig *p)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < PUB_NODES; i++)
		cnt += p->mesh.nodes[i].asked_cnt;
	return cnt;
}

static void test_a_revision_is_numbered_after_what_a_holder_knows(void)
{
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	pub_hint(&p, 3);
	p.mesh.nodes[0].err = WEFT_EUNREACHABLE;
	p.mesh.nodes[1].err = WEFT_EABSENT;
	pub_knows(&p.mesh.nodes[2], 41, p.wall_s);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 42);
	CHECK(seen.was_asked);
	CHECK_EQ(p.events[PUBLISH_SUPERSEDED], 1);
	CHECK_EQ(p.mesh.out_cnt, 0);
	pub_end(&p);
}

static void test_any_node_with_the_newest_head_is_believed(void)
{
	struct fake_overlay overlay = {0};
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, &overlay));
	pub_tree(&p, "t", 2);
	pub_hint(&p, 2);
	pub_knows(&p.mesh.nodes[0], 7, p.wall_s);
	pub_knows(&p.mesh.nodes[1], 9, p.wall_s);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 10);
	pub_turns(&p, 10); /* the overlay has 10 now, and no other node heard of it */
	p.wall_s++;
	rig_file(&p.rig, "t/more", 5, 1);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 11);
	pub_end(&p);
	fake_overlay_fini(&overlay);
}

static void test_false_heads_count_for_nothing(void)
{
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	pub_hint(&p, 3);
	pub_knows(&p.mesh.nodes[0], 41, p.wall_s + HEAD_SKEW_S + 100);
	pub_knows(&p.mesh.nodes[1], 42, p.wall_s);
	p.mesh.nodes[1].head[p.mesh.nodes[1].head_len - 1] ^= 1;
	p.mesh.nodes[2].head_len = 1;
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 1);
	CHECK(!seen.was_asked);
	/* Nor does the head of another share, however well it is signed. */
	p.mesh.nodes[0].err = p.mesh.nodes[2].err = WEFT_EABSENT;
	pub_knows(&p.mesh.nodes[1], 42, p.wall_s);
	CHECK_EQ(pub_create(&p, pub_settings("other"), NULL, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 1);
	pub_end(&p);
}

static void test_peers_that_asked_for_the_files_are_asked_for_the_head(void)
{
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK(!seen.was_asked);
	members_note(&p, seen.manifest_id, 5, 1);
	pub_knows(&p.mesh.nodes[5], 6, p.wall_s + 1);
	p.wall_s++;
	rig_file(&p.rig, "t/more", 5, 1);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(seen.seq, 7);
	CHECK_EQ(asked_cnt(&p), 1);
	pub_end(&p);
}

static void test_eight_are_asked_each_once(void)
{
	struct publish_rig p;
	struct revised seen;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	pub_hint(&p, 4);
	members_note(&p, seen.manifest_id, 2, PUBLISH_HOLDERS_MAX - 2);
	for (unsigned i = 0; i < PUB_NODES; i++)
		p.mesh.nodes[i].err = WEFT_EABSENT;
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(asked_cnt(&p), PUBLISH_HOLDERS_MAX);
	for (unsigned i = 0; i < PUBLISH_HOLDERS_MAX; i++)
		CHECK_EQ(p.mesh.nodes[i].asked_cnt, 1);
	/* One more is not. */
	members_note(&p, seen.manifest_id, PUBLISH_HOLDERS_MAX, 1);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK_EQ(asked_cnt(&p), 2 * PUBLISH_HOLDERS_MAX);
	pub_end(&p);
}

static void test_the_silent_are_waited_for_5_seconds(void)
{
	struct publish_rig p;
	struct revised seen = {.err = 1};
	const struct publish_ask ask = {.settings = pub_settings("docs"),
					.imports = true,
					.done = pub_revised,
					.arg = &seen};
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	pub_hint(&p, 2);
	p.mesh.nodes[0].is_silent = true;
	pub_knows(&p.mesh.nodes[1], 3, p.wall_s);
	CHECK_EQ(pub_create(&p, ask.settings, pub_seed, id), 0);
	scratch_path((char *)ask.settings->path, sizeof(ask.settings->path), p.rig.dir, "t");
	CHECK_EQ(shares_publisher_revise(p.publisher, id, &ask, p.rig.now_ns), 0);
	pub_turns(&p, 20); /* of 200 ms */
	CHECK_EQ(seen.done_cnt, 0);
	CHECK_EQ(p.mesh.out_cnt, 1);
	pub_turns(&p, 20);
	CHECK_EQ(seen.done_cnt, 1);
	CHECK_EQ(seen.seq, 4);
	pub_end(&p);
}

static void test_no_peer_is_asked_for_a_share_that_is_gone(void)
{
	struct publish_rig p;
	uint8_t id[SHARE_ID_LEN];
	int outcome = 1;

	CHECK(pub_begin(&p, NULL));
	pub_hint(&p, 2);
	p.mesh.nodes[0].is_silent = p.mesh.nodes[1].is_silent = true;
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	pub_turns(&p, 10);
	CHECK_EQ(p.mesh.out_cnt, 2);
	CHECK_EQ(shares_publisher_remove(p.publisher, id,
					 (struct publisher_caller){pub_note_done, &outcome}),
		 0);
	pub_turns(&p, 10);
	CHECK_EQ(outcome, 0);
	CHECK_EQ(p.mesh.out_cnt, 0);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	pub_turns(&p, 10);
	CHECK_EQ(p.mesh.out_cnt, 2);
	pub_close(&p);
	CHECK_EQ(p.mesh.out_cnt, 0);
	scratch_remove(p.rig.dir);
}

int main(void)
{
	RUN(test_a_revision_is_numbered_after_what_a_holder_knows);
	RUN(test_any_node_with_the_newest_head_is_believed);
	RUN(test_false_heads_count_for_nothing);
	RUN(test_peers_that_asked_for_the_files_are_asked_for_the_head);
	RUN(test_eight_are_asked_each_once);
	RUN(test_the_silent_are_waited_for_5_seconds);
	RUN(test_no_peer_is_asked_for_a_share_that_is_gone);
	return check_done();
}
