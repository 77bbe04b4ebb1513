/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up items (made_items.h). */
#include "made_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "blobs/manifest/manifest.h"

#define WORD_CNT   60000u
#define WORD_CAP   16u
#define FOLDER_CNT 20000u
#define FOLDER_CAP 64u
#define PATH_CAP   160u

struct making {
	struct random random;
	char words[WORD_CNT][WORD_CAP];
	double sums[WORD_CNT]; /* of 1 / rank */
	char folders[FOLDER_CNT][FOLDER_CAP];
};

static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "bench: no memory for made-up items\n");
		exit(1);
	}
	return memory;
}

static void words_make(struct making *making)
{
	static const char *const begins[] = {"b", "br", "c",  "ch", "d", "f", "g",  "gr",
					     "h", "k",	"l",  "m",  "n", "p", "pr", "r",
					     "s", "st", "tr", "t",  "v", "w", "z",  ""};
	static const char *const vowels[] = {"a", "e", "i", "o", "u", "ea", "ou", "ai"};
	static const char *const ends[] = {"", "n", "r", "s", "l", "t", "m", "ck"};
	double sum = 0;

	for (unsigned i = 0; i < WORD_CNT; i++) {
		unsigned syllable_cnt = 1 + (unsigned)random_below(&making->random, 3);
		char *word = making->words[i];

		for (unsigned k = 0; k < syllable_cnt; k++) {
			size_t at = strlen(word);

			snprintf(word + at, WORD_CAP - at, "%s%s%s",
				 begins[random_below(&making->random, 24)],
				 vowels[random_below(&making->random, 8)],
				 ends[random_below(&making->random, 8)]);
		}
		sum += 1.0 / (i + 1);
		making->sums[i] = sum;
	}
}

static const char *any_word(struct making *making)
{
	double want = (double)random_below(&making->random, 1u << 30) / (1u << 30) *
		      making->sums[WORD_CNT - 1];
	unsigned low = 0, high = WORD_CNT - 1;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (making->sums[mid] < want)
			low = mid + 1;
		else
			high = mid;
	}
	return making->words[low];
}

static char *path_make(struct making *making, size_t idx)
{
	static const char *const ends[] = {"jpg", "jpg", "jpg", "mp3", "flac", "pdf",
					   "txt", "iso", "mkv", "zip", "html", "png"};
	static const char divides[] = "-_ .";
	char path[PATH_CAP];
	unsigned word_cnt = 2 + (unsigned)random_below(&making->random, 3);
	char divide = divides[random_below(&making->random, 4)];
	int at = snprintf(path, sizeof(path), "%s/",
			  making->folders[random_below(&making->random, FOLDER_CNT)]);

	for (unsigned i = 0; i < word_cnt; i++)
		at += snprintf(path + at, sizeof(path) - (size_t)at, "%s%c", any_word(making),
			       divide);
	/* A number makes each name one of its own, as cameras and records do. */
	snprintf(path + at, sizeof(path) - (size_t)at, "%zu.%s", idx % 3 ? idx : idx % 1000,
		 ends[random_below(&making->random, 12)]);
	return must(strdup(path));
}

static void tags_make(struct making *making, struct made_item *item)
{
	unsigned cnt = (unsigned)random_below(&making->random, MADE_TAGS_MAX + 1), kept = 0;

	for (unsigned i = 0; i < cnt; i++) {
		const char *tag = making->words[random_below(&making->random, 500)];
		unsigned at = 0;

		while (at < kept && strcmp(item->tags[at], tag) < 0)
			at++;
		if (at < kept && strcmp(item->tags[at], tag) == 0)
			continue;
		memmove(&item->tags[at + 1], &item->tags[at], (kept - at) * sizeof(item->tags[0]));
		item->tags[at] = must(strdup(tag));
		kept++;
	}
}

static int by_path(const void *a_arg, const void *b_arg)
{
	const struct made_item *a = a_arg, *b = b_arg;

	return blobs_manifest_path_compare(a->path, strlen(a->path), b->path, strlen(b->path));
}

void made_items_new(struct made_items *made, size_t cnt, uint64_t seed)
{
	struct making *making = must(calloc(1, sizeof(*making)));
	size_t kept = 0;

	random_init_seeded(&making->random, seed);
	words_make(making);
	for (unsigned i = 0; i < FOLDER_CNT; i++)
		snprintf(making->folders[i], FOLDER_CAP, "%s %s/%s", any_word(making),
			 any_word(making), any_word(making));
	made->items = must(calloc(cnt, sizeof(*made->items)));
	for (size_t i = 0; i < cnt; i++) {
		struct made_item *item = &made->items[i];

		item->path = path_make(making, i);
		item->size = random_below(&making->random, 1u << 24);
		random_fill(&making->random, item->content_id, sizeof(item->content_id));
		tags_make(making, item);
	}
	qsort(made->items, cnt, sizeof(*made->items), by_path);
	for (size_t i = 0; i < cnt; i++)
		if (kept == 0 || by_path(&made->items[kept - 1], &made->items[i]) != 0)
			made->items[kept++] = made->items[i];
	made->cnt = kept;
	free(making);
}

/* --- queries --- */

/* The words of a name into words; how many. */
static unsigned name_words(const struct made_item *item, char words[8][WORD_CAP])
{
	const char *at = strrchr(item->path, '/') + 1;
	unsigned cnt = 0;

	while (*at && cnt < 8) {
		size_t len = strcspn(at, "-_ .");

		if (len && len < WORD_CAP) {
			memcpy(words[cnt], at, len);
			words[cnt++][len] = '\0';
		}
		at += len + strspn(at + len, "-_ .");
	}
	return cnt;
}

void made_query(const struct made_items *made, uint64_t seed, char text[static MADE_QUERY_CAP])
{
	char words[8][WORD_CAP] = {{0}};
	struct random random;
	unsigned cnt, kind;

	random_init_seeded(&random, seed);
	cnt = name_words(&made->items[random_below(&random, made->cnt)], words);
	kind = (unsigned)random_below(&random, 20);
	if (kind < 9) /* its last two are a number and an ending */
		snprintf(text, MADE_QUERY_CAP, "%s", words[random_below(&random, cnt - 2)]);
	else if (kind < 14)
		snprintf(text, MADE_QUERY_CAP, "%s %s", words[0], words[1]);
	else if (kind < 16)
		snprintf(text, MADE_QUERY_CAP, "%s", words[cnt - 2]);
	else if (kind < 17)
		snprintf(text, MADE_QUERY_CAP, "%s %s", words[0], words[cnt - 1]);
	else
		snprintf(text, MADE_QUERY_CAP, "%.4s*", words[random_below(&random, cnt - 2)]);
}

void made_inside(const struct made_items *made, uint64_t seed, char text[static MADE_QUERY_CAP])
{
	char words[8][WORD_CAP] = {{0}};
	struct random random;

	random_init_seeded(&random, seed);
	for (;;) {
		unsigned cnt = name_words(&made->items[random_below(&random, made->cnt)], words);
		const char *word = words[random_below(&random, cnt - 2)];

		if (strlen(word) < 6)
			continue;
		snprintf(text, MADE_QUERY_CAP, "%.*s", 4 + (int)random_below(&random, 3), word + 1);
		return;
	}
}
