/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_INDEX_POSTINGS_H
#define WEFT_SEARCH_INDEX_POSTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The documents that have a word, by the field they have it in, as bytes. Neighbours have much
 * in common: the folder they are in, the ending of their names. So they are written as runs: the
 * gap since the run before, and the length where it is not 1.
 *
 *	word	(bytes behind this << 3 | fields) list...
 *	list	bytes? run...	the length of each list but the last
 *	run	(gap << 1 | is longer than 1) (length - 2)?
 *
 * Numbers have seven bits a byte, lowest first, the eighth says that more follow.
 */
enum posting_field { POSTING_NAME, POSTING_TAG, POSTING_FOLDER, POSTING_FIELD_CNT };

struct posting_run {
	uint32_t first, cnt; /* documents [first, first + cnt) */
};

/* Space for a word of run_cnt runs in all its lists. */
size_t search_postings_len_max(size_t run_cnt);
/*
 * search_postings_write writes the lists of one word and returns their length. runs of a
 * field ascend by first; what overlaps or touches becomes one.
 */
size_t search_postings_write(uint8_t *dst, const struct posting_run *const runs[POSTING_FIELD_CNT],
			     const size_t cnts[POSTING_FIELD_CNT]);

/* A reader of one list. Beyond the end of damaged bytes there is nothing. */
struct postings {
	const uint8_t *pos, *end;
	uint32_t next; /* the end of the run before */
};
/*
 * search_postings_open makes a reader for each field of the word at *io_pos (empty: not had)
 * and steps over it; false when it goes beyond end. search_postings_skip only steps.
 */
bool search_postings_open(const uint8_t **io_pos, const uint8_t *end,
			  struct postings out_lists[POSTING_FIELD_CNT]);
bool search_postings_skip(const uint8_t **io_pos, const uint8_t *end);
bool search_postings_next(struct postings *list, struct posting_run *out_run);

#endif
