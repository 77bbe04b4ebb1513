/* SPDX-License-Identifier: Apache-2.0 */
/* The program dies at every turn between the begin of a revision and its end. */
#include "crypto/key_seal.h"
#include "publish_rig.h"

static int crash(struct publish_rig *p)
{
	store_freeze(p->rig.store);
	shares_publisher_stop(p->publisher);
	blobs_free(p->rig.content);
	jobs_free(p->rig.jobs);
	store_crash(p->rig.store);
	shares_publisher_free(p->publisher);
	return rig_open(&p->rig, 0);
}

static int crash_and_reopen(struct publish_rig *p)
{
	return crash(p) < 0 ? -1 : pub_start(p);
}

/* is_whole: revision seq is told, listed, its manifest is here, and its head is the newest. */
static bool is_whole(struct publish_rig *p, const uint8_t *id, uint64_t seq)
{
	const struct published *share = shares_publisher_lookup(p->publisher, id);
	struct manifest *manifest;
	uint8_t *bytes;
	bool is_whole;

	if (!share || share->state != PUBLISH_CURRENT || share->revision_cnt != seq ||
	    share->newest.seq != seq)
		return false;
	manifest = rig_manifest(&p->rig, share->newest.manifest_id, &bytes);
	is_whole = manifest && manifest->is_signed && manifest->seq == seq &&
		   blobs_shares_cnt(p->rig.content->shares) == 1 &&
		   blobs_shares_has_manifest(p->rig.content->shares, share->newest.manifest_id);
	for (uint32_t i = 0; is_whole && i < manifest->part_cnt; i++) {
		uint8_t *part_bytes;
		struct manifest *part =
			rig_manifest(&p->rig, manifest->parts[i].manifest_id, &part_bytes);

		is_whole = part != NULL;
		blobs_manifest_free(part);
		free(part_bytes);
	}
	blobs_manifest_free(manifest);
	free(bytes);
	return is_whole;
}

/* Runs a revision for turn_cnt turns, dies, and looks at what is left. True: it had ended. */
static bool crash_after(unsigned turn_cnt, bool imports, bool *out_is_fine)
{
	struct publish_settings *settings = malloc(sizeof(*settings));
	struct revised first, seen = {0};
	struct publish_ask ask = {
		.settings = settings, .imports = imports, .done = pub_revised, .arg = &seen};
	struct publish_rig p;
	uint8_t id[SHARE_ID_LEN];

	*out_is_fine = pub_begin(&p, NULL);
	p.rig.content->params.config.item_cap = 10;
	pub_tree(&p, "t", 30);
	*out_is_fine &= pub_create(&p, pub_settings("docs"), NULL, id) == 0 &&
			pub_publish(&p, id, "t", &first) == 0;
	rig_file(&p.rig, "t/more", 12, 77);
	*settings = *shares_publisher_lookup(p.publisher, id)->settings;
	settings->is_public = true;
	*out_is_fine &= shares_publisher_revise(p.publisher, id, &ask, p.rig.now_ns) == 0;
	for (unsigned i = 0; i < turn_cnt && !seen.done_cnt; i++)
		pub_turn(&p);
	*out_is_fine &= crash_and_reopen(&p) == 0;
	*out_is_fine &= is_whole(&p, id, 2) || (!seen.done_cnt && is_whole(&p, id, 1));
	/* Whatever was left, the next revision comes after it. */
	p.rig.content->params.config.item_cap = 10;
	rig_file(&p.rig, "t/last", 13, 78);
	*out_is_fine &= pub_publish(&p, id, "t", &first) == 0 && is_whole(&p, id, first.seq);
	pub_end(&p);
	free(settings);
	return seen.done_cnt > 0;
}

static void crash_everywhere(bool imports)
{
	unsigned turn_cnt = 0;
	bool has_ended, is_fine;

	do {
		has_ended = crash_after(turn_cnt, imports, &is_fine);
		if (!is_fine)
			printf("# died after %u turns\n", turn_cnt);
		CHECK(is_fine);
	} while (!has_ended && ++turn_cnt < 1000);
	CHECK(has_ended);
	CHECK(turn_cnt >= 2);
}

static void test_death_at_any_turn_leaves_the_old_revision_or_the_new(void)
{
	crash_everywhere(true);
}

static void test_death_while_it_is_signed_again_leaves_one_of_both(void)
{
	crash_everywhere(false);
}

/* seed_is_plain: the share's key lies in its row as it is. */
static bool seed_is_plain(struct publish_rig *p, const uint8_t *id)
{
	struct store_snapshot *snapshot;
	const void *row;
	bool is_plain;
	size_t len;

	if (store_snapshot_open(p->rig.store, &snapshot) < 0 ||
	    store_get(snapshot, STORE_PUBLISHED, store_key(id, SHARE_ID_LEN), &row, &len) < 0)
		abort();
	is_plain = memmem(row, len, pub_seed, sizeof(pub_seed)) != NULL;
	store_snapshot_close(snapshot);
	return is_plain;
}

static struct key_seal *seal_new(uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct key_seal *seal;
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0 || key_seal_new(key, &seal) < 0)
		abort();
	node_key_free(key);
	return seal;
}

/* A key that lay there as it is is sealed by the next start, or by that after it. */
static void test_death_while_keys_are_sealed_leaves_them_as_they_were_or_sealed(void)
{
	struct key_seal *seal = seal_new(1), *other = seal_new(2);
	struct revised seen;
	struct publish_rig p;
	uint8_t id[SHARE_ID_LEN];

	CHECK(pub_begin(&p, NULL));
	pub_tree(&p, "t", 2);
	CHECK_EQ(pub_create(&p, pub_settings("docs"), pub_seed, id), 0);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK(seed_is_plain(&p, id));
	p.seal = seal;
	CHECK_EQ(pub_reopen(&p), 0);
	CHECK_EQ(crash_and_reopen(&p), 0); /* before it was committed */
	CHECK(seed_is_plain(&p, id));
	pub_turns(&p, 3);
	CHECK(!seed_is_plain(&p, id));
	CHECK_EQ(crash_and_reopen(&p), 0); /* and after it */
	CHECK(is_whole(&p, id, 1));
	rig_file(&p.rig, "t/more", 12, 77);
	CHECK_EQ(pub_publish(&p, id, "t", &seen), 0);
	CHECK(is_whole(&p, id, 2));
	CHECK(!seed_is_plain(&p, id));
	/* With another node's key nothing is opened, and nothing is lost. */
	CHECK_EQ(crash(&p), 0);
	p.seal = other;
	CHECK_EQ(pub_start(&p), WEFT_ESEALED);
	p.seal = seal;
	CHECK_EQ(pub_start(&p), 0);
	CHECK(is_whole(&p, id, 2));
	pub_end(&p);
	key_seal_free(seal);
	key_seal_free(other);
}

int main(void)
{
	RUN(test_death_while_keys_are_sealed_leaves_them_as_they_were_or_sealed);
	RUN(test_death_at_any_turn_leaves_the_old_revision_or_the_new);
	RUN(test_death_while_it_is_signed_again_leaves_one_of_both);
	return check_done();
}
