/* SPDX-License-Identifier: Apache-2.0 */
/* What is found, and in which order: small shares with known ranks. */
#include "search_rig.h"

static struct search_rig rig;

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* One share, trusted, weight 100, ready. */
static bool share_one(const char *title, const char *description,
		      const struct search_rig_item *items, size_t cnt)
{
	uint8_t id[32];

	return search_rig_revision(&rig, title, description, items, cnt, id) == 0 &&
	       search_rig_put(&rig, 1, SEARCH_TRUSTED, 100, id) == 0 &&
	       (search_rig_settle(&rig), rig.events[SEARCH_SHARE_READY] == 1);
}

static void test_each_place_of_a_word_has_its_rank(void)
{
	static const struct search_rig_item items[] = {
		{"a/debian.iso", {0}},		   /* a whole word of the name */
		{"b/debianized.txt", {0}},	   /* begins a word */
		{"c/old-mydebianmirror.txt", {0}}, /* within a word */
		{"d/Debian", {0}},		   /* the name */
		{"debian/readme", {0}},		   /* a folder */
		{"e/1", {"Debian"}},		   /* a tag */
		{"f/2", {"debian-live"}},	   /* a word of a tag */
		{"g/3", {"debianish"}},		   /* begins one */
		{"h/4", {"undebian"}},		   /* within one: not looked at */
		{"i/nothing", {0}},
	};

	CHECK(search_rig_begin(&rig));
	CHECK(share_one("Mirror", "", items, COUNT(items)));
	CHECK_STR(search_rig_ask(&rig, "debian"), "d/Debian 10000\n"
						  "a/debian.iso 8500\n"
						  "b/debianized.txt 6500\n"
						  "c/old-mydebianmirror.txt 4500\n"
						  "e/1 3000\n"
						  "f/2 3000\n"
						  "g/3 2000\n"
						  "debian/readme 1200\n");
	search_rig_end(&rig);
}

static void test_title_and_description_count_for_all_items(void)
{
	static const struct search_rig_item items[] = {{"a.txt", {0}}, {"linux.txt", {0}}};

	CHECK(search_rig_begin(&rig));
	CHECK(share_one("All of Linux", "Kernels for linuxen, and more", items, COUNT(items)));
	CHECK_STR(search_rig_ask(&rig, "linux"), "linux.txt 10500\n"
						 "a.txt 2000\n");
	CHECK_STR(search_rig_ask(&rig, "kernel"), "a.txt 800\n"
						  "linux.txt 800\n");
	CHECK_STR(search_rig_ask(&rig, "all of"), "a.txt 2400\n"
						  "linux.txt 2400\n");
	search_rig_end(&rig);
}

static void test_an_item_has_all_words_of_a_query(void)
{
	static const struct search_rig_item items[] = {
		{"music/bach/air.flac", {"classic"}},
		{"music/bach/cantata.flac", {0}},
		{"music/cage/air.flac", {0}},
		{"notes.txt", {"air", "bach"}},
	};

	CHECK(search_rig_begin(&rig));
	CHECK(share_one("", "", items, COUNT(items)));
	CHECK_STR(search_rig_ask(&rig, "bach air"), "music/bach/air.flac 9700\n"
						    "notes.txt 6000\n");
	CHECK_STR(search_rig_ask(&rig, "air AIR bach"), "music/bach/air.flac 9700\n"
							"notes.txt 6000\n");
	CHECK_STR(search_rig_ask(&rig, "bach air missing"), "");
	CHECK_STR(search_rig_ask(&rig, "air.flac"), "music/bach/air.flac 20000\n"
						    "music/cage/air.flac 20000\n");
	/* The words of the name, but not in its order. */
	CHECK_STR(search_rig_ask(&rig, "flac air"), "music/bach/air.flac 17000\n"
						    "music/cage/air.flac 17000\n");
	search_rig_end(&rig);
}

static void test_text_is_found_however_it_is_written(void)
{
	static const struct search_rig_item items[] = {
		{"CAF\xc3\x89.txt", {0}},
		{"file", {0}},
		{"stra\xc3\x9f"
		 "e.png",
		 {0}},
		{"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.pdf", {0}},
	};

	CHECK(search_rig_begin(&rig));
	CHECK(share_one("", "", items, COUNT(items)));
	CHECK_STR(search_rig_ask(&rig, "\xef\xac\x81le"), "file 10000\n");
	CHECK_STR(search_rig_ask(&rig, "cafe\xcc\x81"), "CAF\xc3\x89.txt 8500\n");
	CHECK_STR(search_rig_ask(&rig, "STRASSE"), "stra\xc3\x9f"
						   "e.png 8500\n");
	/* Within a run of Han letters, from one on. */
	CHECK_STR(search_rig_ask(&rig, "\xe6\x9c\xac"),
		  "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.pdf 4500\n");
	/* One or two Latin letters only begin words. */
	CHECK_STR(search_rig_ask(&rig, "il"), "");
	CHECK_STR(search_rig_ask(&rig, "fi"), "file 6500\n");
	CHECK_STR(search_rig_ask(&rig, "ile"), "file 4500\n");
	search_rig_end(&rig);
}

static void test_tiers_are_chosen_and_weights_multiply(void)
{
	static const struct search_rig_item items[] = {{"one.txt", {0}}};
	struct search_rig_answer answer;
	uint8_t id[32];

	CHECK(search_rig_begin(&rig));
	CHECK_EQ(search_rig_revision(&rig, "", "", items, 1, id), 0);
	CHECK_EQ(search_rig_put(&rig, 1, SEARCH_NORMAL, 100, id), 0);
	CHECK_EQ(search_rig_put(&rig, 2, SEARCH_TRUSTED, 100, id), 0);
	CHECK_EQ(search_rig_put(&rig, 3, SEARCH_UNTRUSTED, 300, id), 0);
	CHECK_EQ(search_rig_put(&rig, 4, SEARCH_NORMAL, 50, id), 0);
	CHECK_EQ(search_rig_put(&rig, 5, SEARCH_NORMAL, 0, id), 0);
	search_rig_settle(&rig);
	/* Of equal ones the trusted share's comes first. */
	CHECK_STR(search_rig_ask(&rig, "one"), "one.txt 8500\none.txt 8500\none.txt 4250\n");
	CHECK_EQ(search_rig_page(&rig, "one", SEARCH_RIG_TIERS, 0, 1, &answer), 0);
	CHECK_EQ(answer.first.share_id[0], 2);
	CHECK_EQ(answer.result.share_cnt, 3);
	CHECK_EQ(search_rig_page(&rig, "one", 1u << SEARCH_UNTRUSTED, 0, 9, &answer), 0);
	CHECK_STR(answer.lines, "one.txt 25500\n");
	CHECK_EQ(search_rig_page(&rig, "one", 0, 0, 9, &answer), 0);
	CHECK_STR(answer.lines, "");
	/* Another weight counts at once and makes nothing anew. */
	CHECK_EQ(search_rig_put(&rig, 4, SEARCH_TRUSTED, SEARCH_WEIGHT_MAX + 1, id), 0);
	CHECK_EQ(search_rig_page(&rig, "one", SEARCH_RIG_TIERS, 0, 1, &answer), 0);
	CHECK_EQ(answer.first.score, 85 * SEARCH_WEIGHT_MAX);
	CHECK_EQ(rig.events[SEARCH_SHARE_READY], 5);
	search_rig_end(&rig);
}

static void test_what_is_blocked_or_dropped_vanishes(void)
{
	static const struct search_rig_item items[] = {{"one.txt", {0}}, {"two.txt", {0}}};
	uint8_t id[32], blocked[2][32], share[32];

	CHECK(search_rig_begin(&rig));
	CHECK(share_one("", "", items, COUNT(items)));
	CHECK_STR(search_rig_ask(&rig, "txt"), "one.txt 8500\ntwo.txt 8500\n");
	search_rig_content_id("one.txt", blocked[0]);
	memset(blocked[1], 0xff, sizeof(blocked[1]));
	CHECK_EQ(search_block(rig.search, (const uint8_t(*)[32])blocked, 2), 0);
	CHECK_STR(search_rig_ask(&rig, "txt"), "two.txt 8500\n");
	CHECK_EQ(search_block(rig.search, (const uint8_t(*)[32])blocked, SEARCH_BLOCKED_MAX + 1),
		 WEFT_EFULL);
	CHECK_EQ(search_block(rig.search, NULL, 0), 0);
	CHECK_STR(search_rig_ask(&rig, "txt"), "one.txt 8500\ntwo.txt 8500\n");
	memset(share, 1, sizeof(share));
	search_drop_share(rig.search, share, rig.now_ns);
	CHECK_STR(search_rig_ask(&rig, "txt"), "");
	/* It is found again as soon as it is followed again. */
	CHECK_EQ(search_rig_revision(&rig, "", "", items, 1, id), 0);
	CHECK_EQ(search_rig_put(&rig, 1, SEARCH_NORMAL, 100, id), 0);
	search_rig_settle(&rig);
	CHECK_STR(search_rig_ask(&rig, "txt"), "one.txt 8500\n");
	search_rig_end(&rig);
}

static void test_what_is_shown_of_a_hit_is_its_items(void)
{
	static const struct search_rig_item items[] = {
		{"docs/User-Guide.pdf", {"manual", "pdf"}},
		{"other", {0}},
	};
	struct search_rig_answer answer;
	uint8_t content_id[32];

	CHECK(search_rig_begin(&rig));
	CHECK(share_one("Books", "Every guide there is.", items, COUNT(items)));
	CHECK_EQ(search_rig_page(&rig, "user gui", SEARCH_RIG_TIERS, 0, 5, &answer), 0);
	CHECK_EQ(answer.result.hit_cnt, 1);
	CHECK_EQ(answer.result.found_cnt, 1);
	CHECK_EQ(answer.result.reachable_cnt, 1);
	CHECK_EQ(answer.result.pending_cnt, 0);
	search_rig_content_id("docs/User-Guide.pdf", content_id);
	CHECK_MEM(answer.first.content_id, content_id, 32);
	CHECK_EQ(answer.first.size, strlen("docs/User-Guide.pdf"));
	CHECK_EQ(answer.first.tier, SEARCH_TRUSTED);
	CHECK_STR(answer.first_tags, "manual");
	CHECK_STR(answer.second_tag, "pdf");
	CHECK_STR(answer.first_path, "docs/User-Guide.pdf");
	CHECK_STR(answer.first_mime, "application/pdf");
	CHECK_STR(answer.first.path_snippet.text, "docs/User-Guide.pdf");
	CHECK_EQ(answer.first.path_snippet.mark_cnt, 2);
	CHECK_EQ(answer.first.path_snippet.marks[0].off, 5);
	CHECK_EQ(answer.first.path_snippet.marks[0].len, 4);
	CHECK_EQ(answer.first.path_snippet.marks[1].off, 10);
	CHECK_EQ(answer.first.path_snippet.marks[1].len, 5);
	CHECK_EQ(answer.first.about.mark_cnt, 1);
	CHECK_EQ(answer.first.about.marks[0].off, 6);
	search_rig_end(&rig);
}

int main(void)
{
	RUN(test_each_place_of_a_word_has_its_rank);
	RUN(test_title_and_description_count_for_all_items);
	RUN(test_an_item_has_all_words_of_a_query);
	RUN(test_text_is_found_however_it_is_written);
	RUN(test_tiers_are_chosen_and_weights_multiply);
	RUN(test_what_is_blocked_or_dropped_vanishes);
	RUN(test_what_is_shown_of_a_hit_is_its_items);
	return check_done();
}
