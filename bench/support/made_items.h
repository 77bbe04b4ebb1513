/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MADE_ITEMS_H
#define BENCH_MADE_ITEMS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Items as users share them, made up the same way every time. Names have two to four
 * words and often a number, in folders of two levels, with tags. Words are those of a
 * vocabulary by Zipf's law, as words of languages are.
 */
#define MADE_TAGS_MAX 3u

struct made_item {
	const char *path;		 /* ascending as manifests want it */
	const char *tags[MADE_TAGS_MAX]; /* ascending; NULL: no more */
	uint64_t size;
	uint8_t content_id[32];
};
struct made_items {
	struct made_item *items;
	size_t cnt;
};

/* made_items_new ends the program when there is no memory. */
void made_items_new(struct made_items *made, size_t cnt, uint64_t seed);

/*
 * made_query writes one of the queries that users would ask. It has one or two
 * words of some item, a number of it, or the beginning of a word, which ends in '*'
 * then.
 */
#define MADE_QUERY_CAP 128
void made_query(const struct made_items *made, uint64_t seed, char text[static MADE_QUERY_CAP]);
/* made_inside writes four to six letters from the middle of a word. */
void made_inside(const struct made_items *made, uint64_t seed, char text[static MADE_QUERY_CAP]);

#endif
