/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items go in as runs of (word, field, documents), in the order of documents. The end sorts the
 * words and counts how many runs each has. Then it lays the runs out behind each other, which
 * keeps their order. A folder is folded once for all items in it that follow each other.
 */
#include "index_shard_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash_bytes.h"
#include "codec/text/casefold.h"
#include "blobs/manifest/manifest.h"
#include "index_shard.h"

#define TABLE_SLOTS_MIN 4096u
#define FOLDED_CAP	(MANIFEST_PATH_LEN_MAX * FOLD_GROWTH_MAX)
/* A name of words of one letter, each with the space that divides it from the next. */
#define NAME_WORDS_CAP (2 * MANIFEST_NAME_LEN_MAX * FOLD_GROWTH_MAX)

struct word {
	uint32_t text; /* offset */
	uint32_t len;
	uint32_t hash;
};

/* A run before the words are sorted. */
struct word_run {
	uint32_t list; /* word * POSTING_FIELD_CNT + field */
	struct posting_run run;
};

struct part {
	uint8_t manifest_id[32];
	uint32_t len, first_document;
};

/* An array that grows. */
struct list {
	void *items;
	size_t cnt, cap;
};

struct shard_builder {
	uint64_t secret[2];
	struct list parts, documents, words, runs, text;
	uint32_t *slots; /* of word + 1; 0: empty */
	uint32_t slot_cnt;
	bool is_cut;
	char *folder; /* of the items before this one, as it is in the manifest */
	size_t folder_len, folder_cap;
	uint32_t folder_first; /* document */
	char folded[FOLDED_CAP];
	char name_words[NAME_WORDS_CAP];
	size_t name_len; /* of name_words */
};

/* --- arrays --- */

/* list_reserve: room for cnt items of len bytes behind the last, or NULL. */
static void *list_reserve(struct list *list, size_t cnt, size_t len)
{
	if (list->cnt + cnt > list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 1024;
		void *grown;

		while (cap < list->cnt + cnt)
			cap *= 2;
		grown = realloc(list->items, cap * len);
		if (!grown)
			return NULL;
		list->items = grown;
		list->cap = cap;
	}
	return (char *)list->items + list->cnt * len;
}

/* --- words --- */

static int table_grow(struct shard_builder *b)
{
	uint32_t slot_cnt = b->slot_cnt ? 2 * b->slot_cnt : TABLE_SLOTS_MIN;
	uint32_t *slots = calloc(slot_cnt, sizeof(*slots));
	const struct word *words = b->words.items;

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->words.cnt; i++) {
		uint32_t at = words[i].hash & (slot_cnt - 1);

		while (slots[at])
			at = (at + 1) & (slot_cnt - 1);
		slots[at] = i + 1;
	}
	free(b->slots);
	b->slots = slots;
	b->slot_cnt = slot_cnt;
	return 0;
}

static int word_add(struct shard_builder *b, uint32_t slot, const char *text, size_t len,
		    uint32_t hash)
{
	char *copy = list_reserve(&b->text, len, 1);
	struct word *word = list_reserve(&b->words, 1, sizeof(*word));

	if (!copy || !word)
		return -ENOMEM;
	memcpy(copy, text, len);
	*word = (struct word){.text = (uint32_t)b->text.cnt, .len = (uint32_t)len, .hash = hash};
	b->text.cnt += len;
	b->words.cnt++;
	b->slots[slot] = (uint32_t)b->words.cnt;
	return 0;
}

/* The number of a word, new or not. */
static int word_find(struct shard_builder *b, const char *text, size_t len, uint32_t *out_word)
{
	uint32_t hash = (uint32_t)siphash(b->secret, text, len), at;
	int err;

	if (b->words.cnt * 4 >= (size_t)b->slot_cnt * 3 && (err = table_grow(b)) < 0)
		return err;
	at = hash & (b->slot_cnt - 1);
	for (; b->slots[at]; at = (at + 1) & (b->slot_cnt - 1)) {
		const struct word *word = (struct word *)b->words.items + b->slots[at] - 1;

		if (word->hash == hash && word->len == len &&
		    memcmp((char *)b->text.items + word->text, text, len) == 0) {
			*out_word = b->slots[at] - 1;
			return 0;
		}
	}
	*out_word = (uint32_t)b->words.cnt;
	return word_add(b, at, text, len, hash);
}

static int run_add(struct shard_builder *b, const char *text, size_t len, enum posting_field field,
		   struct posting_run run)
{
	struct word_run *added;
	uint32_t word;
	int err;

	if (b->runs.cnt == SHARD_RUNS_MAX) {
		b->is_cut = true;
		return 0;
	}
	err = word_find(b, text, len, &word);
	if (err < 0)
		return err;
	added = list_reserve(&b->runs, 1, sizeof(*added));
	if (!added)
		return -ENOMEM;
	*added = (struct word_run){word * POSTING_FIELD_CNT + field, run};
	b->runs.cnt++;
	return 0;
}

/* The words of text; those of a name also one behind the other in name_words, each with a space. */
static int text_add(struct shard_builder *b, const char *text, size_t text_len,
		    enum posting_field field, struct posting_run run)
{
	int folded_len = fold_text(text, text_len, b->folded, sizeof(b->folded));
	size_t off = 0, len;
	const char *word;
	int err;

	if (folded_len < 0)
		return folded_len == WEFT_ETOOSMALL ? WEFT_EMALFORMED : folded_len;
	while (fold_word(b->folded, (size_t)folded_len, &off, &word, &len)) {
		len = search_shard_word_cut(word, len);
		err = run_add(b, word, len, field, run);
		if (err < 0)
			return err;
		if (field == POSTING_NAME) {
			memcpy(b->name_words + b->name_len, word, len);
			b->name_words[b->name_len + len] = ' ';
			b->name_len += len + 1;
		}
	}
	return 0;
}

/* --- items --- */

static int folder_end(struct shard_builder *b)
{
	struct posting_run run = {b->folder_first, (uint32_t)b->documents.cnt - b->folder_first};

	return b->folder_len && run.cnt ? text_add(b, b->folder, b->folder_len, POSTING_FOLDER, run)
					: 0;
}

static int folder_enter(struct shard_builder *b, const char *folder, size_t len)
{
	int err;

	if (len == b->folder_len && (len == 0 || memcmp(folder, b->folder, len) == 0))
		return 0;
	err = folder_end(b);
	if (err < 0)
		return err;
	memcpy(b->folder, folder, len);
	b->folder_len = len;
	b->folder_first = (uint32_t)b->documents.cnt;
	return 0;
}

int search_shard_builder_new(const uint64_t secret[static 2], struct shard_builder **out_builder)
{
	struct shard_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->folder = malloc(MANIFEST_PATH_LEN_MAX);
	if (!b->folder) {
		free(b);
		return -ENOMEM;
	}
	b->secret[0] = secret[0];
	b->secret[1] = secret[1];
	*out_builder = b;
	return 0;
}

void search_shard_builder_free(struct shard_builder *b)
{
	if (!b)
		return;
	free(b->parts.items);
	free(b->documents.items);
	free(b->words.items);
	free(b->runs.items);
	free(b->text.items);
	free(b->slots);
	free(b->folder);
	free(b);
}

bool search_shard_builder_is_cut(const struct shard_builder *builder)
{
	return builder->is_cut;
}

int search_shard_builder_add_part(struct shard_builder *b, const uint8_t manifest_id[static 32],
				  uint32_t len)
{
	struct part *part = list_reserve(&b->parts, 1, sizeof(*part));

	if (!part)
		return -ENOMEM;
	memcpy(part->manifest_id, manifest_id, sizeof(part->manifest_id));
	part->len = len;
	part->first_document = (uint32_t)b->documents.cnt;
	b->parts.cnt++;
	return 0;
}

int search_shard_builder_add_item(struct shard_builder *b, const struct manifest_item *item,
				  uint32_t off)
{
	const char *slash = memrchr(item->path, '/', item->path_len);
	size_t folder_len = slash ? (size_t)(slash - item->path) : 0;
	size_t name_off = slash ? folder_len + 1 : 0;
	struct posting_run run = {(uint32_t)b->documents.cnt, 1};
	struct shard_document *document;
	int err;

	if (b->documents.cnt == SHARD_DOCUMENTS_MAX)
		return WEFT_EFULL;
	if (item->path_len > MANIFEST_PATH_LEN_MAX ||
	    item->path_len - name_off > MANIFEST_NAME_LEN_MAX)
		return WEFT_EMALFORMED;
	document = list_reserve(&b->documents, 1, sizeof(*document));
	if (!document)
		return -ENOMEM;
	b->name_len = 0;
	err = folder_enter(b, item->path, folder_len);
	if (err == 0)
		err = text_add(b, item->path + name_off, item->path_len - name_off, POSTING_NAME,
			       run);
	for (uint32_t i = 0; i < item->tag_cnt && err == 0; i++)
		err = text_add(b, item->tags[i].text, item->tags[i].len, POSTING_TAG, run);
	if (err < 0)
		return err;
	memcpy(document->content_prefix, item->content_id, sizeof(document->content_prefix));
	document->name_hash = search_shard_name_hash(b->name_words, b->name_len);
	document->off = off;
	b->documents.cnt++;
	return 0;
}

/* --- the end --- */

/* A word and its first bytes as a number, by which most words are distinguished. */
struct ranked {
	uint64_t begin;
	const char *text;
	uint32_t len, word;
};

static int ranked_compare(const void *a_arg, const void *b_arg)
{
	const struct ranked *a = a_arg, *b = b_arg;
	int order;

	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static struct ranked *words_rank(const struct shard_builder *b)
{
	const struct word *words = b->words.items;
	struct ranked *ranked = malloc((b->words.cnt + 1) * sizeof(*ranked));

	for (uint32_t i = 0; i < b->words.cnt && ranked; i++) {
		struct ranked *r = &ranked[i];
		uint8_t begin[8] = {0};

		r->text = (char *)b->text.items + words[i].text;
		r->len = words[i].len;
		r->word = i;
		memcpy(begin, r->text, r->len < sizeof(begin) ? r->len : sizeof(begin));
		r->begin = 0;
		for (unsigned k = 0; k < sizeof(begin); k++)
			r->begin = r->begin << 8 | begin[k];
	}
	if (ranked)
		qsort(ranked, b->words.cnt, sizeof(*ranked), ranked_compare);
	return ranked;
}

/* Runs by list: those of list i are [starts[i], starts[i + 1]) of runs. */
struct laid_out {
	uint32_t *starts;
	struct posting_run *runs;
};

static int runs_lay_out(const struct shard_builder *b, struct laid_out *out)
{
	const struct word_run *from = b->runs.items;
	size_t list_cnt = b->words.cnt * POSTING_FIELD_CNT;
	uint32_t *starts = calloc(list_cnt + 2, sizeof(*starts));
	struct posting_run *runs = malloc((b->runs.cnt + 1) * sizeof(*runs));

	out->starts = starts;
	out->runs = runs;
	if (!starts || !runs)
		return -ENOMEM;
	/* Counted one further on, so that placing them leaves each start where it belongs. */
	for (size_t i = 0; i < b->runs.cnt; i++)
		starts[from[i].list + 2]++;
	for (size_t i = 2; i < list_cnt + 2; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; i < b->runs.cnt; i++)
		runs[starts[from[i].list + 1]++] = from[i].run;
	return 0;
}

static uint8_t *parts_write(const struct shard_builder *b, uint8_t *at)
{
	const struct part *parts = b->parts.items;

	for (size_t i = 0; i < b->parts.cnt; i++) {
		memcpy(at, parts[i].manifest_id, 32);
		memcpy(at + 32, &parts[i].len, 4);
		memcpy(at + 36, &parts[i].first_document, 4);
		at += 40;
	}
	return at;
}

/* The blocks, the text and the postings of all words; the end. */
static uint8_t *words_write(const struct shard_builder *b, const struct ranked *ranked,
			    const struct laid_out *laid, uint8_t *blocks, struct shard_head *head)
{
	uint8_t *text =
		blocks + (size_t)8 * ((b->words.cnt + SHARD_BLOCK_WORDS - 1) / SHARD_BLOCK_WORDS);
	uint8_t *text_pos = text, *postings = text + b->text.cnt + b->words.cnt + 1;
	uint8_t *pos = postings;

	*text_pos++ = '\0';
	for (size_t i = 0; i < b->words.cnt; i++) {
		const struct posting_run *runs[POSTING_FIELD_CNT];
		size_t cnts[POSTING_FIELD_CNT];

		if (i % SHARD_BLOCK_WORDS == 0) {
			uint32_t block[2] = {(uint32_t)(text_pos - text),
					     (uint32_t)(pos - postings)};

			memcpy(blocks, block, sizeof(block));
			blocks += sizeof(block);
		}
		memcpy(text_pos, ranked[i].text, ranked[i].len);
		text_pos += ranked[i].len;
		*text_pos++ = '\0';
		for (unsigned f = 0; f < POSTING_FIELD_CNT; f++) {
			const uint32_t *start =
				laid->starts + (size_t)ranked[i].word * POSTING_FIELD_CNT + f;

			runs[f] = laid->runs + start[0];
			cnts[f] = start[1] - start[0];
		}
		pos += search_postings_write(pos, runs, cnts);
	}
	head->text_len = (uint32_t)(text_pos - text);
	head->postings_len = (uint32_t)(pos - postings);
	return pos;
}

static int shard_write(const struct shard_builder *b, const struct ranked *ranked,
		       const struct laid_out *laid, uint8_t **out_bytes, size_t *out_len)
{
	struct shard_head head = {.order = SHARD_ORDER,
				  .part_cnt = (uint32_t)b->parts.cnt,
				  .document_cnt = (uint32_t)b->documents.cnt,
				  .word_cnt = (uint32_t)b->words.cnt};
	size_t documents_len = b->documents.cnt * sizeof(struct shard_document);
	size_t cap = sizeof(head) + b->parts.cnt * 40 + documents_len +
		     (b->words.cnt / SHARD_BLOCK_WORDS + 1) * 8 + b->text.cnt + b->words.cnt + 1 +
		     b->words.cnt * search_postings_len_max(0) +
		     search_postings_len_max(b->runs.cnt) + BLAKE3_HASH_LEN;
	uint8_t *bytes = malloc(cap), *at, *shrunk;

	if (!bytes)
		return -ENOMEM;
	at = parts_write(b, bytes + sizeof(head));
	if (documents_len)
		memcpy(at, b->documents.items, documents_len);
	at = words_write(b, ranked, laid, at + documents_len, &head);
	memcpy(bytes, &head, sizeof(head));
	blake3_hash(bytes, (size_t)(at - bytes), at);
	*out_len = (size_t)(at - bytes) + BLAKE3_HASH_LEN;
	shrunk = realloc(bytes, *out_len);
	*out_bytes = shrunk ? shrunk : bytes;
	return 0;
}

int search_shard_builder_finish(struct shard_builder *b, uint8_t **out_bytes, size_t *out_len)
{
	struct laid_out laid = {0};
	struct ranked *ranked;
	int err = folder_end(b);

	if (err < 0)
		return err;
	ranked = words_rank(b);
	err = ranked ? runs_lay_out(b, &laid) : -ENOMEM;
	if (err == 0)
		err = shard_write(b, ranked, &laid, out_bytes, out_len);
	free(ranked);
	free(laid.starts);
	free(laid.runs);
	return err;
}
