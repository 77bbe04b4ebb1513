/* SPDX-License-Identifier: Apache-2.0 */
/* The program dies at every turn between the begin of a revision and its end. */
#include "unit/content/publish/publish_rig.h"

static int crash_and_reopen(struct publish_rig *p)
{
	store_freeze(p->rig.store);
	publisher_stop(p->publisher);
	content_free(p->rig.content);
	jobs_free(p->rig.jobs);
	store_crash(p->rig.store);
	publisher_free(p->publisher);
	return rig_open(&p->rig, 0) < 0 ? -1 : pub_start(p);
}

/* is_whole: revision seq is told, listed, its manifest is here, and its head is the newest. */
static bool is_whole(struct publish_rig *p, const uint8_t *id, uint64_t seq)
{
	const struct published *share = publisher_lookup(p->publisher, id);
	struct manifest *manifest;
	uint8_t *bytes;
	bool is_whole;

	if (!share || share->state != PUBLISH_CURRENT || share->revision_cnt != seq ||
	    share->newest.seq != seq)
		return false;
	manifest = rig_manifest(&p->rig, share->newest.manifest_id, &bytes);
	is_whole = manifest && manifest->is_signed && manifest->seq == seq &&
		   shares_cnt(p->rig.content->shares) == 1 &&
		   shares_has_manifest(p->rig.content->shares, share->newest.manifest_id);
	for (uint32_t i = 0; is_whole && i < manifest->part_cnt; i++) {
		uint8_t *part_bytes;
		struct manifest *part =
			rig_manifest(&p->rig, manifest->parts[i].manifest_id, &part_bytes);

		is_whole = part != NULL;
		manifest_free(part);
		free(part_bytes);
	}
	manifest_free(manifest);
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
	*settings = *publisher_lookup(p.publisher, id)->settings;
	settings->is_public = true;
	*out_is_fine &= publisher_revise(p.publisher, id, &ask, p.rig.now_ns) == 0;
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

int main(void)
{
	RUN(test_death_at_any_turn_leaves_the_old_revision_or_the_new);
	RUN(test_death_while_it_is_signed_again_leaves_one_of_both);
	return check_done();
}
