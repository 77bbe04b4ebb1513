/* SPDX-License-Identifier: Apache-2.0 */
/* The index as it comes, changes, is damaged and goes; and the limits of queries. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "search_rig.h"

#define PARTS	   500u /* some shards, by INDEXING_PARTS_MEAN */
#define PART_ITEMS 8u

static struct search_rig rig;

/* A root of PARTS manifests; that of number changed has other files than without (UINT32_MAX). */
static int root_keep(uint32_t changed, uint8_t manifest_id[static 32])
{
	struct manifest_builder *builder, *root;
	const uint8_t *bytes;
	size_t len;
	int err = blobs_manifest_builder_new(&builder);

	if (err == 0)
		err = blobs_manifest_builder_new(&root);
	for (uint32_t p = 0; p < PARTS && err == 0; p++) {
		struct manifest_part part = {.item_cnt = PART_ITEMS};
		uint8_t id[32];

		for (uint32_t i = 0; i < PART_ITEMS && err == 0; i++) {
			char path[64];
			struct search_rig_item item = {.path = path};

			snprintf(path, sizeof(path), "p%03u/%s-%u-n%u.txt", p,
				 p == changed ? "new" : "old", i, p * PART_ITEMS + i);
			err = search_rig_add(builder, &item);
		}
		part.byte_cnt = blobs_manifest_builder_byte_cnt(builder);
		bytes = blobs_manifest_builder_encode(builder, MANIFEST_PART, 0, "", &len);
		part.len = len;
		part.manifest_id = id;
		search_rig_keep(&rig, bytes, len, id);
		if (err == 0)
			err = blobs_manifest_builder_add_part(root, &part);
		blobs_manifest_builder_reset(builder);
	}
	bytes = blobs_manifest_builder_encode(root, MANIFEST_ROOT, 5, "Parts", &len);
	search_rig_keep(&rig, bytes, len, manifest_id);
	if (err == 0)
		err = search_rig_commit(&rig);
	blobs_manifest_builder_free(builder);
	blobs_manifest_builder_free(root);
	return err;
}

static uint64_t found(const char *text)
{
	struct search_rig_answer answer;

	int err = search_rig_page(&rig, text, SEARCH_RIG_TIERS, 0, SEARCH_PAGE, &answer);

	if (err < 0)
		printf("# a query for %s ended with %d\n", text, err);
	return err < 0 ? UINT64_MAX : answer.result.found_cnt;
}

static uint64_t built_cnt(void)
{
	struct search_stats stats;

	search_stats(rig.search, &stats);
	return stats.built_cnt;
}

static bool put_and_wait(const uint8_t manifest_id[static 32])
{
	unsigned ready = rig.events[SEARCH_SHARE_READY];

	if (search_rig_put(&rig, 1, SEARCH_NORMAL, 100, manifest_id) < 0)
		return false;
	search_rig_settle(&rig);
	return rig.events[SEARCH_SHARE_READY] == ready + 1;
}

static void test_a_new_revision_makes_only_what_changed(void)
{
	uint8_t one[32], two[32];
	uint64_t all_cnt;

	CHECK(search_rig_begin(&rig));
	CHECK_EQ(root_keep(UINT32_MAX, one), 0);
	CHECK_EQ(root_keep(250, two), 0);
	CHECK(put_and_wait(one));
	all_cnt = built_cnt();
	CHECK(all_cnt >= 3);
	CHECK_EQ(found("txt"), PARTS * PART_ITEMS);
	CHECK_EQ(found("n801"), 1);
	CHECK_EQ(found("new"), 0);
	CHECK(put_and_wait(two));
	CHECK_EQ(found("new"), PART_ITEMS);
	CHECK_EQ(found("old"), (PARTS - 1) * PART_ITEMS);
	/* A changed manifest may end its shard elsewhere: then two are made. */
	CHECK(built_cnt() - all_cnt <= 2);
	search_rig_end(&rig);
}

static void test_an_index_is_taken_up_after_a_restart_and_damage_is_made_good(void)
{
	struct search_stats stats;
	char path[SCRATCH_CAP + 32];
	uint8_t id[32], block[4096];
	uint64_t all_cnt;
	struct stat st;
	int fd;

	CHECK(search_rig_begin(&rig));
	CHECK_EQ(root_keep(UINT32_MAX, id), 0);
	CHECK(put_and_wait(id));
	all_cnt = built_cnt();
	search_rig_close(&rig);
	CHECK_EQ(search_rig_open(&rig), 0);
	CHECK(put_and_wait(id));
	search_stats(rig.search, &stats);
	CHECK_EQ(stats.built_cnt, 0);
	CHECK_EQ(stats.reused_cnt, all_cnt);
	CHECK_EQ(found("n801"), 1);
	search_rig_close(&rig);

	/* A bit of a word, which is where its hash alone tells. */
	fd = open(scratch_path(path, sizeof(path), rig.dir, "search/data.mdb"), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	for (off_t off = 0; off < st.st_size; off += (off_t)sizeof(block)) {
		char *word;

		CHECK(pread(fd, block, sizeof(block), off) == sizeof(block));
		word = memmem(block, sizeof(block), "n801", 5);
		if (word) {
			word[1]++;
			CHECK(pwrite(fd, block, sizeof(block), off) == sizeof(block));
		}
	}
	close(fd);
	CHECK_EQ(search_rig_open(&rig), 0);
	CHECK(put_and_wait(id));
	search_rig_settle(&rig);
	CHECK_EQ(rig.events[SEARCH_INDEX_RESET], 0);
	CHECK_EQ(built_cnt(), 1);
	CHECK_EQ(found("n801"), 1);
	search_rig_close(&rig);

	/* No environment at all. */
	memset(block, 0x5a, sizeof(block));
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(pwrite(fd, block, sizeof(block), 0) == sizeof(block));
	CHECK(pwrite(fd, block, sizeof(block), sizeof(block)) == sizeof(block));
	close(fd);
	CHECK_EQ(search_rig_open(&rig), 0);
	CHECK(put_and_wait(id));
	search_rig_settle(&rig);
	CHECK_EQ(rig.events[SEARCH_INDEX_RESET], 1);
	CHECK_EQ(built_cnt(), all_cnt);
	CHECK_EQ(found("n801"), 1);
	search_rig_end(&rig);
}

static void test_a_kill_in_the_middle_loses_no_finished_shard(void)
{
	struct search_stats stats;
	uint8_t id[32];
	int status;
	pid_t pid;

	CHECK(search_rig_begin(&rig));
	CHECK_EQ(root_keep(UINT32_MAX, id), 0);
	search_rig_close(&rig);
	pid = fork();
	if (pid == 0) {
		if (search_rig_open(&rig) < 0 ||
		    search_rig_put(&rig, 1, SEARCH_NORMAL, 100, id) < 0)
			_exit(1);
		(void)jobs_reap(rig.jobs);
		(void)jobs_reap(rig.jobs);
		_exit(rig.events[SEARCH_SHARE_READY] ? 2 : 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK_EQ(search_rig_open(&rig), 0);
	CHECK(put_and_wait(id));
	search_stats(rig.search, &stats);
	CHECK_EQ(stats.reused_cnt, 2);
	CHECK(stats.built_cnt >= 1);
	CHECK_EQ(found("txt"), PARTS * PART_ITEMS);
	search_rig_end(&rig);
}

static void test_what_is_not_put_after_a_start_goes(void)
{
	static const struct search_rig_item items[] = {{"other.md", {0}}};
	struct search_stats stats;
	uint8_t id[32], other[32], share[32];

	CHECK(search_rig_begin(&rig));
	CHECK_EQ(root_keep(UINT32_MAX, id), 0);
	CHECK_EQ(search_rig_revision(&rig, "", "", items, 1, other), 0);
	CHECK(put_and_wait(id));
	search_rig_close(&rig);
	CHECK_EQ(search_rig_open(&rig), 0);
	CHECK_EQ(search_rig_put(&rig, 2, SEARCH_NORMAL, 100, other), 0);
	search_settle(rig.search, rig.now_ns);
	search_rig_settle(&rig);
	CHECK(put_and_wait(id));
	search_stats(rig.search, &stats);
	CHECK_EQ(stats.reused_cnt, 0); /* it was swept */
	/* Dropped and put again, with the sweep in between. */
	memset(share, 1, sizeof(share));
	search_drop_share(rig.search, share, rig.now_ns);
	CHECK_EQ(found("txt"), 0);
	search_rig_settle(&rig);
	CHECK(put_and_wait(id));
	search_stats(rig.search, &stats);
	CHECK_EQ(stats.reused_cnt, 0);
	search_rig_end(&rig);
}

static void test_the_revision_before_is_searched_until_the_next_is_ready(void)
{
	static const struct search_rig_item items[] = {{"old.txt", {0}}};
	struct search_rig_answer answer;
	uint8_t one[32], two[32], missing[32] = {1};

	CHECK(search_rig_begin(&rig));
	CHECK_EQ(search_rig_revision(&rig, "", "", items, 1, one), 0);
	CHECK_EQ(root_keep(UINT32_MAX, two), 0);
	CHECK(put_and_wait(one));
	CHECK_EQ(search_rig_put(&rig, 1, SEARCH_NORMAL, 100, missing), 0);
	search_rig_settle(&rig);
	CHECK_EQ(rig.events[SEARCH_SHARE_FAILED], 1);
	CHECK_EQ(rig.last.err, WEFT_EABSENT);
	CHECK_EQ(search_rig_page(&rig, "old", SEARCH_RIG_TIERS, 0, 5, &answer), 0);
	CHECK_STR(answer.lines, "old.txt 8500\n");
	CHECK_EQ(answer.result.pending_cnt, 1);
	/* It is tried again by itself. */
	rig.now_ns += 700 * NS_PER_S;
	search_rig_turn(&rig);
	search_rig_settle(&rig);
	CHECK_EQ(rig.events[SEARCH_SHARE_FAILED], 2);
	CHECK(put_and_wait(two));
	CHECK_EQ(found("n801"), 1);
	search_rig_end(&rig);
}

static void test_a_share_may_go_while_it_is_indexed_or_searched(void)
{
	struct search_rig_answer answer = {0};
	struct search_ask ask = {.text = "txt",
				 .text_len = 3,
				 .tiers = SEARCH_RIG_TIERS,
				 .page_len = 5,
				 .done = search_rig_done,
				 .arg = &answer};
	struct search_run *run;
	uint8_t id[32], share[32];

	memset(share, 1, sizeof(share));
	CHECK(search_rig_begin(&rig));
	search_settle(rig.search, rig.now_ns);
	CHECK_EQ(root_keep(UINT32_MAX, id), 0);
	CHECK_EQ(search_rig_put(&rig, 1, SEARCH_NORMAL, 100, id), 0);
	(void)jobs_reap(rig.jobs);
	search_drop_share(rig.search, share, rig.now_ns);
	search_rig_settle(&rig);
	CHECK_EQ(rig.events[SEARCH_SHARE_READY], 0);
	CHECK_EQ(found("txt"), 0);
	/* A query under way goes on with what there was when it was asked. */
	CHECK(put_and_wait(id));
	CHECK_EQ(search_query(rig.search, &ask, &run), 0);
	search_drop_share(rig.search, share, rig.now_ns);
	search_rig_settle(&rig);
	CHECK_EQ(answer.done_cnt, 1);
	CHECK_EQ(answer.result.hit_cnt, 5);
	CHECK_EQ(found("txt"), 0);
	search_rig_end(&rig);
}

static void test_pages_are_parts_of_one_order_and_end_at_the_cap(void)
{
	static struct search_rig_answer page, twice;
	static struct search_rig_item items[2500];
	static char paths[2500][24];
	uint8_t id[32];

	CHECK(search_rig_begin(&rig));
	for (unsigned i = 0; i < 2500; i++) {
		snprintf(paths[i], sizeof(paths[i]), "same-%04u.txt", i);
		items[i].path = paths[i];
	}
	CHECK_EQ(search_rig_revision(&rig, "", "", items, 2500, id), 0);
	CHECK(put_and_wait(id));
	for (unsigned p = 0; p < SEARCH_HITS_MAX / SEARCH_PAGE; p++) {
		char first[40];

		CHECK_EQ(search_rig_page(&rig, "same", SEARCH_RIG_TIERS, p, SEARCH_PAGE, &page), 0);
		CHECK_EQ(page.result.found_cnt, 2500);
		CHECK_EQ(page.result.reachable_cnt, SEARCH_HITS_MAX);
		CHECK_EQ(page.result.hit_cnt, SEARCH_PAGE);
		snprintf(first, sizeof(first), "same-%04u.txt 8500\n", p * SEARCH_PAGE);
		CHECK(strncmp(page.lines, first, strlen(first)) == 0);
		CHECK_EQ(search_rig_page(&rig, "same", SEARCH_RIG_TIERS, p, SEARCH_PAGE, &twice),
			 0);
		CHECK_STR(page.lines, twice.lines);
	}
	CHECK_EQ(search_rig_page(&rig, "same", SEARCH_RIG_TIERS, 100, 20, &page), WEFT_ETOOLARGE);
	CHECK_EQ(search_rig_page(&rig, "same", SEARCH_RIG_TIERS, 9, 200, &page), 0);
	CHECK_EQ(page.result.hit_cnt, 200);
	CHECK_EQ(search_rig_page(&rig, "same", SEARCH_RIG_TIERS, 0, 201, &page), WEFT_ETOOLARGE);
	CHECK_EQ(search_rig_page(&rig, "same", SEARCH_RIG_TIERS, 0, 0, &page), WEFT_ETOOLARGE);
	search_rig_end(&rig);
}

static void test_queries_beyond_their_limits_are_refused(void)
{
	char words[17 * 4 + 1] = "", text[QUERY_TEXT_LEN_MAX + 2];
	struct search_rig_answer answer;
	struct search_ask ask = {.text = "x",
				 .text_len = 1,
				 .tiers = SEARCH_RIG_TIERS,
				 .page_len = 5,
				 .done = search_rig_done,
				 .arg = &answer};
	struct search_run *runs[5];
	struct search_stats stats;

	CHECK(search_rig_begin(&rig));
	for (unsigned i = 0; i < 17; i++)
		snprintf(words + 4 * i, 5, "w%02u ", i);
	CHECK_EQ(search_rig_page(&rig, words, SEARCH_RIG_TIERS, 0, 5, &answer), WEFT_ETOOLARGE);
	words[16 * 4] = '\0';
	CHECK_EQ(search_rig_page(&rig, words, SEARCH_RIG_TIERS, 0, 5, &answer), 0);
	memset(text, 'a', sizeof(text));
	text[QUERY_TEXT_LEN_MAX + 1] = '\0';
	CHECK_EQ(search_rig_page(&rig, text, SEARCH_RIG_TIERS, 0, 5, &answer), WEFT_ETOOLARGE);
	text[QUERY_TEXT_LEN_MAX] = '\0';
	CHECK_EQ(search_rig_page(&rig, text, SEARCH_RIG_TIERS, 0, 5, &answer), 0);
	CHECK_EQ(search_rig_page(&rig, " .-/", SEARCH_RIG_TIERS, 0, 5, &answer), WEFT_EABSENT);
	CHECK_EQ(search_rig_page(&rig, "a\xff", SEARCH_RIG_TIERS, 0, 5, &answer), WEFT_EMALFORMED);
	memset(&answer, 0, sizeof(answer));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(search_query(rig.search, &ask, &runs[i]), 0);
	CHECK_EQ(search_query(rig.search, &ask, &runs[4]), WEFT_EBUSY);
	search_cancel(runs[2]);
	search_rig_settle(&rig);
	CHECK_EQ(answer.done_cnt, 3);
	search_stats(rig.search, &stats);
	CHECK_EQ(stats.query_cnt, 0);
	CHECK_EQ(stats.refused_cnt, 1);
	/* One that is under way at the end is told. */
	CHECK_EQ(search_query(rig.search, &ask, &runs[0]), 0);
	search_stop(rig.search);
	CHECK_EQ(answer.done_cnt, 4);
	CHECK_EQ(answer.result.err, WEFT_ECANCELLED);
	search_rig_end(&rig);
}

static void test_an_index_that_is_full_keeps_what_it_has(void)
{
	static const struct search_rig_item items[] = {{"one.txt", {0}}};
	uint8_t small[32], large[32];

	memset(&rig, 0, sizeof(rig));
	CHECK(search_rig_begin(&rig));
	search_rig_close(&rig);
	rig.index_len_max = 64 << 10;
	CHECK_EQ(search_rig_open(&rig), 0);
	CHECK_EQ(search_rig_revision(&rig, "", "", items, 1, small), 0);
	CHECK_EQ(root_keep(UINT32_MAX, large), 0);
	CHECK(put_and_wait(small));
	CHECK_EQ(search_rig_put(&rig, 2, SEARCH_NORMAL, 100, large), 0);
	search_rig_settle(&rig);
	CHECK_EQ(rig.events[SEARCH_SHARE_FAILED], 1);
	CHECK_EQ(rig.last.err, WEFT_EFULL);
	CHECK_STR(search_rig_ask(&rig, "one"), "one.txt 8500\n");
	search_rig_end(&rig);
}

static void test_one_share_too_many_is_refused(void)
{
	uint8_t share[32] = {0}, id[32] = {7};

	CHECK(search_rig_begin(&rig));
	for (uint32_t i = 0; i <= SEARCH_SHARES_MAX; i++) {
		memcpy(share, &i, sizeof(i));
		CHECK_EQ(search_put_share(rig.search,
					  &(struct search_revision){share, id, SEARCH_NORMAL, 100},
					  rig.now_ns),
			 i < SEARCH_SHARES_MAX ? 0 : WEFT_EFULL);
	}
	search_rig_end(&rig);
}

int main(void)
{
	RUN(test_a_new_revision_makes_only_what_changed);
	RUN(test_an_index_is_taken_up_after_a_restart_and_damage_is_made_good);
	RUN(test_a_kill_in_the_middle_loses_no_finished_shard);
	RUN(test_what_is_not_put_after_a_start_goes);
	RUN(test_the_revision_before_is_searched_until_the_next_is_ready);
	RUN(test_a_share_may_go_while_it_is_indexed_or_searched);
	RUN(test_pages_are_parts_of_one_order_and_end_at_the_cap);
	RUN(test_queries_beyond_their_limits_are_refused);
	RUN(test_an_index_that_is_full_keeps_what_it_has);
	RUN(test_one_share_too_many_is_refused);
	return check_done();
}
