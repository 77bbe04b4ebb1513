/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_PAGE_H
#define WEFT_STORE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One page of LMDB's data file: its head and its nodes, in the machine's byte order. Used
 * by pages.c; nothing here trusts a byte of a page before store_page_check.
 */
#define META_MAGIC   0xbeefc0deu
#define META_VERSION 1u
#define META_CNT     2u
#define TREE_INTEGER 0x08 /* keys are numbers: the free list */
#define PAGE_BRANCH  0x01
#define PAGE_LEAF    0x02
#define PAGE_LARGE   0x04
#define PAGE_META    0x08
#define NODE_LARGE   0x01 /* the value lies on pages of its own */
#define NODE_TREE    0x02 /* the value is the head of a database */
#define PAGE_LEN_MIN 512u
#define PAGE_LEN_MAX 32768u

struct page_head {
	uint64_t number;
	uint16_t pad;
	uint16_t flags;
	union {
		struct {
			uint16_t lower, upper;
		};
		uint32_t page_cnt; /* of a large value */
	};
};
_Static_assert(sizeof(struct page_head) == 16, "LMDB's head of a page");

struct tree_head {
	uint32_t pad; /* of the free list: the length of a page */
	uint16_t flags;
	uint16_t depth;
	uint64_t branch_cnt, leaf_cnt, large_cnt;
	uint64_t row_cnt;
	uint64_t root;
};
_Static_assert(sizeof(struct tree_head) == 48, "LMDB's head of a database");

struct meta {
	uint32_t magic;
	uint32_t version;
	uint64_t address;
	uint64_t map_len;
	struct tree_head free, main;
	uint64_t last_page;
	uint64_t txn_id;
};
_Static_assert(sizeof(struct meta) == 136, "LMDB's meta page");

#define NODE_HEAD_LEN 8u
struct node {
	uint16_t low, high; /* of a leaf: the value's length; of a branch: its page, with flags */
	uint16_t flags;
	uint16_t key_len;
};
_Static_assert(sizeof(struct node) == NODE_HEAD_LEN, "LMDB's head of a node");

/* A node of a page that was checked. */
struct node_view {
	struct node head;
	const uint8_t *key;
	const uint8_t *data; /* of a leaf */
	uint32_t value_len;  /* of a leaf */
};

/*
 * store_page_check: the page is that of number and of kind. Its nodes fill [upper, page_len)
 * without a gap and without overlap, which LMDB's moving of nodes relies on. NULL, or what is
 * wrong.
 */
const char *store_page_check(const uint8_t *page, uint32_t page_len, uint64_t number,
			     uint16_t kind);
/* The number of nodes of a checked page, and each node. */
unsigned store_page_node_cnt(const struct page_head *head);
struct node_view store_page_node(const uint8_t *page, unsigned i);

/* store_page_meta_is_sound: head and meta are those of meta page number. */
bool store_page_meta_is_sound(const struct page_head *head, const struct meta *meta,
			      unsigned number);
/*
 * store_page_metas_alternate: commits alternate between the two pages, so their numbers are
 * neighbours and say which page they belong to. A number that was changed would make LMDB take the
 * commit before for the newest.
 */
bool store_page_metas_alternate(const struct meta metas[static META_CNT]);

#endif
