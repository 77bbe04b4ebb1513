/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_NEAREST_H
#define WEFT_NEAREST_H

#include <stddef.h>
#include <string.h>

/*
 * Which known name a mistyped one is likely to be, for the daemon's
 * configuration and the command's verbs.
 */
#define WEFT_NEAREST_LEN_MAX 48

/* weft_edit_distance: letters to insert, delete, replace or swap with their neighbour. */
static inline unsigned weft_edit_distance(const char *a, const char *b)
{
	unsigned rows[3][WEFT_NEAREST_LEN_MAX + 1];
	size_t a_len = strnlen(a, WEFT_NEAREST_LEN_MAX);
	size_t b_len = strnlen(b, WEFT_NEAREST_LEN_MAX);

	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3];
		const unsigned *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    above2[j - 2] + 1 < best)
				best = above2[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[a_len % 3][b_len];
}

/*
 * weft_is_nearer tells whether candidate is nearer to wanted than *best, and
 * near enough to be meant; *best starts as UINT_MAX.
 */
static inline int weft_is_nearer(const char *wanted, const char *candidate, unsigned *best)
{
	unsigned distance = weft_edit_distance(wanted, candidate);
	size_t len = strlen(wanted), candidate_len = strlen(candidate);
	size_t shorter = len < candidate_len ? len : candidate_len;

	/* A prefix is meant, however short: "lim" for limits. */
	if (len >= 3 && strncmp(wanted, candidate, len) == 0)
		distance = 1;
	/* A third of the letters may be wrong, of the shorter name: a link is near nothing. */
	if (distance >= *best || distance > (shorter + 2) / 3)
		return 0;
	*best = distance;
	return 1;
}

#endif
