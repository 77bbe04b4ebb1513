/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a shard in place (index_shard.h). */
#include "index_shard.h"

#include <string.h>

#include "base/siphash_bytes.h"

#define PART_LEN  40u
#define BLOCK_LEN 8u

static uint32_t u32_at(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

int search_shard_open(const void *bytes, size_t len, struct shard *out_shard)
{
	struct shard s = {0};
	uint64_t block_cnt, parts_len, documents_len, blocks_len;

	if (len < sizeof(s.head) + BLAKE3_HASH_LEN)
		return WEFT_EDAMAGED;
	memcpy(&s.head, bytes, sizeof(s.head));
	block_cnt = ((uint64_t)s.head.word_cnt + SHARD_BLOCK_WORDS - 1) / SHARD_BLOCK_WORDS;
	parts_len = (uint64_t)s.head.part_cnt * PART_LEN;
	documents_len = (uint64_t)s.head.document_cnt * sizeof(struct shard_document);
	blocks_len = block_cnt * BLOCK_LEN;
	if (s.head.order != SHARD_ORDER || s.head.document_cnt > SHARD_DOCUMENTS_MAX ||
	    s.head.text_len == 0 ||
	    sizeof(s.head) + parts_len + documents_len + blocks_len + s.head.text_len +
			    s.head.postings_len + BLAKE3_HASH_LEN !=
		    len)
		return WEFT_EDAMAGED;
	s.parts = (const uint8_t *)bytes + sizeof(s.head);
	s.documents = s.parts + parts_len;
	s.blocks = s.documents + documents_len;
	s.text = (const char *)s.blocks + blocks_len;
	s.postings = (const uint8_t *)s.text + s.head.text_len;
	*out_shard = s;
	return 0;
}

int search_shard_verify(const void *bytes, size_t len)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	struct shard shard;
	int err = search_shard_open(bytes, len, &shard);

	if (err < 0)
		return err;
	blake3_hash(bytes, len - BLAKE3_HASH_LEN, hash);
	return memcmp(hash, (const uint8_t *)bytes + len - BLAKE3_HASH_LEN, BLAKE3_HASH_LEN)
		       ? WEFT_EDAMAGED
		       : 0;
}

static struct shard_part part_at(const struct shard *shard, uint32_t idx)
{
	const uint8_t *at = shard->parts + (size_t)idx * PART_LEN;

	return (struct shard_part){at, u32_at(at + 32), u32_at(at + 36)};
}

struct shard_part search_shard_part_of(const struct shard *shard, uint32_t document)
{
	uint32_t low = 0, high = shard->head.part_cnt;

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (part_at(shard, mid).first_document <= document)
			low = mid;
		else
			high = mid;
	}
	return part_at(shard, low);
}

size_t search_shard_word_cut(const char *text, size_t len)
{
	if (len <= SHARD_WORD_LEN_MAX)
		return len;
	for (len = SHARD_WORD_LEN_MAX; (text[len] & 0xc0) == 0x80; len--)
		;
	return len;
}

uint32_t search_shard_name_hash(const char *words, size_t len)
{
	static const uint64_t key[2] = {0};

	return (uint32_t)siphash(key, words, len);
}

/* --- words --- */

static uint32_t block_cnt(const struct shard *shard)
{
	return (shard->head.word_cnt + SHARD_BLOCK_WORDS - 1) / SHARD_BLOCK_WORDS;
}

static uint32_t block_text(const struct shard *shard, uint32_t block)
{
	return u32_at(shard->blocks + (size_t)block * BLOCK_LEN);
}

static void block_enter(const struct shard *shard, uint32_t block, struct shard_word *out_word)
{
	out_word->text = shard->text + block_text(shard, block);
	out_word->len = strlen(out_word->text);
	out_word->idx = block * SHARD_BLOCK_WORDS;
	out_word->postings =
		shard->postings + u32_at(shard->blocks + (size_t)block * BLOCK_LEN + 4);
}

bool search_shard_word_next(const struct shard *shard, struct shard_word *word)
{
	const uint8_t *end = shard->postings + shard->head.postings_len;

	if (++word->idx >= shard->head.word_cnt || !search_postings_skip(&word->postings, end))
		return false;
	word->text += word->len + 1;
	word->len = strlen(word->text);
	return true;
}

static int word_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

bool search_shard_word_seek(const struct shard *shard, const char *text, size_t len,
			    struct shard_word *out_word)
{
	uint32_t low = 0, high = block_cnt(shard);

	if (high == 0)
		return false;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		const char *first = shard->text + block_text(shard, mid);

		if (word_compare(first, strlen(first), text, len) <= 0)
			low = mid;
		else
			high = mid;
	}
	block_enter(shard, low, out_word);
	while (word_compare(out_word->text, out_word->len, text, len) < 0)
		if (!search_shard_word_next(shard, out_word))
			return false;
	return true;
}

/* The word that begins at off of the text. */
static void word_enter(const struct shard *shard, size_t off, struct shard_word *out_word)
{
	uint32_t low = 0, high = block_cnt(shard);

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (block_text(shard, mid) <= off)
			low = mid;
		else
			high = mid;
	}
	block_enter(shard, low, out_word);
	while (out_word->text < shard->text + off && search_shard_word_next(shard, out_word))
		;
}

/*
 * Returns where needle, of 2 bytes at least, first is in the text from off on; text_len:
 * nowhere. Both ends of needle are compared at 64 places at once (Mula's generic SIMD
 * algorithm). memmem, which looks at one place, made half the time of a query.
 */
typedef uint8_t vector __attribute__((vector_size(16)));
#define VECTORS 4u

static vector vector_load(const char *at)
{
	vector bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

static bool vector_has(vector bytes)
{
	uint64_t halves[2];

	memcpy(halves, &bytes, sizeof(halves));
	return (halves[0] | halves[1]) != 0;
}

static size_t text_find(const struct shard *shard, size_t off, const char *needle, size_t len)
{
	const char *text = shard->text;
	const size_t step = VECTORS * sizeof(vector), end = shard->head.text_len;
	const vector first = (vector){0} + (uint8_t)needle[0];
	const vector last = (vector){0} + (uint8_t)needle[len - 1];

	for (; off + step + len <= end; off += step) {
		vector same[VECTORS];

		for (unsigned i = 0; i < VECTORS; i++) {
			const char *at = text + off + i * sizeof(vector);

			same[i] = (vector)((vector_load(at) == first) &
					   (vector_load(at + len - 1) == last));
		}
		if (!vector_has(same[0] | same[1] | same[2] | same[3]))
			continue;
		for (size_t i = 0; i < step; i++)
			if (text[off + i] == needle[0] && memcmp(text + off + i, needle, len) == 0)
				return off + i;
	}
	for (; off + len <= end; off++)
		if (memcmp(text + off, needle, len) == 0)
			return off;
	return end;
}

bool search_shard_word_within(const struct shard *shard, const char *text, size_t len,
			      size_t *io_off, struct shard_word *out_word)
{
	size_t begin = text_find(shard, *io_off, text, len);

	if (begin >= shard->head.text_len)
		return false;
	/* The text begins with a NUL, and so does every word. */
	while (shard->text[begin - 1])
		begin--;
	word_enter(shard, begin, out_word);
	*io_off = begin + out_word->len;
	return true;
}
