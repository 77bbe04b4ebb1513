/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB's data file, read with suspicion (pages.h).
 *
 * store_pages_open -> meta_choose -> tree_walk of the main tree (which gives the
 * roots of the databases) and of the free list. store_pages_walk -> tree_walk ->
 * page_walk, one level of the tree per call -> leaf_walk or branch_walk. Numbers
 * are in the machine's byte order, as LMDB has them.
 */
#include "store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/page.h"
#include "store/segment.h"

#define NO_PAGE	    UINT64_MAX
#define KEY_LEN_MAX 511u
/* LMDB's own bound of a cursor. */
#define DEPTH_MAX 32u
#define TREE_CAP  64u
/* Behind these two: the databases in the order of the list. */
enum { MARK_NONE, MARK_MAIN, MARK_FREE, MARK_TREES, MARK_LOST = UINT8_MAX };
_Static_assert(MARK_TREES + TREE_CAP <= MARK_LOST, "one byte names them all");
#define LARGE_STEP_LEN (1u << 20)
/* LMDB's own bound of pages that one commit changes. */
#define UNWRITTEN_MAX (1u << 17)
/* More would push out of the page cache what others need. */
#define READAHEAD_LEN_MAX (256ll << 20)

struct pages_tree {
	char name[PAGES_NAME_CAP];
	struct tree_head head;
};

struct pages {
	struct pages_config config;
	uint32_t page_len;
	uint64_t page_cnt; /* in use, with the meta pages */
	uint8_t *marks;	   /* of each page: whose it is, or MARK_NONE */
	struct tree_head free, main;
	struct pages_tree trees[TREE_CAP];
	unsigned tree_cnt;
	char finding[PAGES_FINDING_CAP];
};

/* One tree under way. seen counts what is found, to be compared with what head says. */
struct walk {
	struct pages *pages;
	const char *name;
	const struct tree_head *head;
	struct tree_head seen;
	uint8_t mark;	 /* of its pages */
	uint8_t *levels; /* a page for each level of the tree */
	uint8_t *large;	 /* a value of pages of its own */
	size_t large_cap;
	pages_row_fn fn;
	void *arg;
	uint16_t node_flag; /* which of NODE_LARGE and NODE_TREE a row may have */
	/* The next key is above last, or at least at it behind a branch's. */
	uint8_t last[KEY_LEN_MAX];
	size_t last_len;
	bool has_last, is_last_row;
};

__attribute__((format(printf, 2, 3))) static int damage(struct pages *pages, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(pages->finding, sizeof(pages->finding), fmt, args);
	va_end(args);
	return WEFT_EDAMAGED;
}

static int page_damage(const struct walk *walk, uint64_t number, const char *what)
{
	return damage(walk->pages, "database %s: page %llu: %s", walk->name,
		      (unsigned long long)number, what);
}

static bool mark_take(struct pages *pages, uint64_t number, uint8_t mark)
{
	if (number < META_CNT || number >= pages->page_cnt || pages->marks[number] != MARK_NONE)
		return false;
	pages->marks[number] = mark;
	return true;
}

static void marks_drop(struct pages *pages, uint8_t mark)
{
	for (uint64_t number = META_CNT; number < pages->page_cnt; number++)
		if (pages->marks[number] == mark)
			pages->marks[number] = MARK_NONE;
}

static int page_read(struct pages *pages, uint64_t number, uint8_t *dst)
{
	if (stop_is_due(pages->config.stop, pages->page_len))
		return WEFT_ECANCELLED;
	return store_file_read(pages->config.fd, dst, pages->page_len, number * pages->page_len);
}

/* --- values on pages of their own --- */

/* Marks the pages, of which there are *out_cnt; 0 or what is wrong. */
static const char *large_claim(const struct walk *walk, const struct page_head *head,
			       uint64_t number, uint32_t value_len)
{
	struct pages *pages = walk->pages;
	uint64_t need = (sizeof(*head) - 1 + (uint64_t)value_len) / pages->page_len + 1;

	if (head->number != number || head->flags != PAGE_LARGE)
		return "a large value is not where it should be";
	if (head->page_cnt < need || head->page_cnt > pages->page_cnt - number)
		return "a large value has an impossible length";
	for (uint64_t i = 0; i < head->page_cnt; i++)
		if (!mark_take(pages, number + i, walk->mark))
			return "a page of a large value has two uses";
	return NULL;
}

/* In steps: a damaged length may be that of the whole file. */
static int large_fill(const struct walk *walk, uint32_t len, uint64_t off)
{
	const struct pages *pages = walk->pages;
	int err = 0;

	for (uint32_t at = 0, step; at < len && err == 0; at += step) {
		step = len - at < LARGE_STEP_LEN ? len - at : LARGE_STEP_LEN;
		err = stop_is_due(pages->config.stop, step)
			      ? WEFT_ECANCELLED
			      : store_file_read(pages->config.fd, walk->large + at, step, off + at);
	}
	return err;
}

static int large_fault(const struct walk *walk, uint64_t number, int err)
{
	return err == WEFT_EDAMAGED ? page_damage(walk, number, "the file ends before it") : err;
}

static int large_read(struct walk *walk, const struct node_view *node)
{
	struct pages *pages = walk->pages;
	struct page_head head;
	const char *fault;
	uint64_t number, off;
	int err;

	memcpy(&number, node->data, sizeof(number));
	if (number < META_CNT || number >= pages->page_cnt)
		return page_damage(walk, number, "a large value lies outside of the file");
	off = number * pages->page_len;
	err = store_file_read(pages->config.fd, &head, sizeof(head), off);
	if (err < 0)
		return large_fault(walk, number, err);
	fault = large_claim(walk, &head, number, node->value_len);
	if (fault)
		return page_damage(walk, number, fault);
	walk->seen.large_cnt += head.page_cnt;
	if (node->value_len > walk->large_cap) {
		uint8_t *large = realloc(walk->large, node->value_len);

		if (!large)
			return -ENOMEM;
		walk->large = large;
		walk->large_cap = node->value_len;
	}
	return large_fault(walk, number, large_fill(walk, node->value_len, off + sizeof(head)));
}

/* --- trees --- */

static int key_compare(const struct walk *walk, const uint8_t *key, size_t len)
{
	size_t least = len < walk->last_len ? len : walk->last_len;
	int order;

	if (walk->head->flags & TREE_INTEGER) {
		uint64_t number, last;

		memcpy(&number, key, sizeof(number));
		memcpy(&last, walk->last, sizeof(last));
		return number < last ? -1 : number > last;
	}
	order = memcmp(key, walk->last, least);
	return order ? order : len < walk->last_len ? -1 : len > walk->last_len;
}

/* key_step: keys ascend; a branch's key is above all before it and at most the next row's. */
static bool key_step(struct walk *walk, const uint8_t *key, size_t len, bool is_row)
{
	int order;

	if (len == 0 || len > KEY_LEN_MAX ||
	    (walk->head->flags & TREE_INTEGER && len != sizeof(uint64_t)))
		return false;
	if (walk->has_last && !walk->pages->config.is_salvaging) {
		order = key_compare(walk, key, len);
		if (order < 0 || (order == 0 && (walk->is_last_row || !is_row)))
			return false;
	}
	memcpy(walk->last, key, len);
	walk->last_len = len;
	walk->has_last = true;
	walk->is_last_row = is_row;
	return true;
}

static int row_walk(struct walk *walk, uint64_t number, const struct node_view *node)
{
	struct pages_row row = {node->key, node->head.key_len, node->data, node->value_len};
	int err;

	if (!key_step(walk, node->key, node->head.key_len, true))
		return page_damage(walk, number, "its keys are out of order");
	if (node->head.flags & ~NODE_LARGE & ~walk->node_flag)
		return page_damage(walk, number, "a row is of another kind");
	walk->seen.row_cnt++;
	if (node->head.flags & NODE_LARGE) {
		err = large_read(walk, node);
		if (err < 0)
			return err;
		row.value = walk->large;
	}
	return walk->fn ? walk->fn(walk->arg, &row) : 0;
}

/* Behind a damaged part there is more to save. */
static int damage_pass(const struct pages *pages, int err)
{
	if (err != WEFT_EDAMAGED || !pages->config.is_salvaging)
		return err;
	if (pages->config.report)
		pages->config.report(pages->config.arg, pages->finding);
	return 0;
}

static int leaf_walk(struct walk *walk, uint64_t number, const uint8_t *page)
{
	struct page_head head;
	int err = 0;

	memcpy(&head, page, sizeof(head));
	walk->seen.leaf_cnt++;
	for (unsigned i = 0; i < store_page_node_cnt(&head) && err == 0; i++) {
		struct node_view node = store_page_node(page, i);

		err = damage_pass(walk->pages, row_walk(walk, number, &node));
	}
	return err;
}

static int page_walk(struct walk *walk, uint64_t number, unsigned level);

static int branch_walk(struct walk *walk, uint64_t number, const uint8_t *page, unsigned level)
{
	struct page_head head;
	int err = 0;

	memcpy(&head, page, sizeof(head));
	walk->seen.branch_cnt++;
	for (unsigned i = 0; i < store_page_node_cnt(&head) && err == 0; i++) {
		struct node_view node = store_page_node(page, i);

		/* The first key is never looked at. */
		if (i && !key_step(walk, node.key, node.head.key_len, false))
			err = page_damage(walk, number, "its keys are out of order");
		if (err == 0)
			err = page_walk(walk, node.value_len | (uint64_t)node.head.flags << 32,
					level + 1);
		err = damage_pass(walk->pages, err);
	}
	return err;
}

/* Every leaf lies at the tree's depth, levels counted from 1. */
static int page_walk(struct walk *walk, uint64_t number, unsigned level)
{
	struct pages *pages = walk->pages;
	uint8_t *page = walk->levels + (size_t)(level - 1) * pages->page_len;
	bool is_leaf = level == walk->head->depth;
	const char *fault;
	int err;

	if (number < META_CNT || number >= pages->page_cnt)
		return page_damage(walk, number, "no such page");
	if (!mark_take(pages, number, walk->mark))
		return page_damage(walk, number, "it has two uses");
	err = page_read(pages, number, page);
	if (err < 0)
		return err == WEFT_EDAMAGED ? page_damage(walk, number, "the file ends before it")
					    : err;
	fault = store_page_check(page, pages->page_len, number, is_leaf ? PAGE_LEAF : PAGE_BRANCH);
	if (fault)
		return page_damage(walk, number, fault);
	return is_leaf ? leaf_walk(walk, number, page) : branch_walk(walk, number, page, level);
}

static bool tree_adds_up(const struct walk *walk)
{
	const struct tree_head *head = walk->head, *seen = &walk->seen;

	return head->branch_cnt == seen->branch_cnt && head->leaf_cnt == seen->leaf_cnt &&
	       head->large_cnt == seen->large_cnt && head->row_cnt == seen->row_cnt;
}

static bool walk_begin(struct walk *walk)
{
	walk->levels = malloc((size_t)DEPTH_MAX * walk->pages->page_len);
	return walk->levels;
}

static void walk_end(struct walk *walk)
{
	free(walk->levels);
	free(walk->large);
}

static int tree_walk(struct walk *walk)
{
	const struct tree_head *head = walk->head;
	int err = 0;

	if (head->depth > DEPTH_MAX || (head->depth == 0) != (head->root == NO_PAGE))
		return damage(walk->pages, "database %s: its head is impossible", walk->name);
	if (head->depth) {
		err = walk_begin(walk) ? page_walk(walk, head->root, 1) : -ENOMEM;
		err = damage_pass(walk->pages, err);
		walk_end(walk);
	}
	if (err < 0 && err != WEFT_EDAMAGED)
		marks_drop(walk->pages, walk->mark);
	if (err == 0 && !tree_adds_up(walk) && !walk->pages->config.is_salvaging)
		err = damage(walk->pages, "database %s: its pages and rows are not as many as said",
			     walk->name);
	return err;
}

/* --- the main tree and the free list --- */

static int tree_note(void *arg, const struct pages_row *row)
{
	struct pages *pages = arg;
	struct pages_tree *tree = &pages->trees[pages->tree_cnt];

	if (row->value_len != sizeof(tree->head) || row->key_len >= PAGES_NAME_CAP)
		return damage(pages, "the list of databases has a row that is none");
	if (pages->tree_cnt == TREE_CAP)
		return damage(pages, "the list of databases is too long");
	*tree = (struct pages_tree){0};
	memcpy(tree->name, row->key, row->key_len);
	memcpy(&tree->head, row->value, sizeof(tree->head));
	if (tree->head.flags || tree->head.pad)
		return damage(pages, "database %s: its head is impossible",
			      strlen(tree->name) == row->key_len ? tree->name : "?");
	pages->tree_cnt++;
	return 0;
}

/* A record of the free list: a count and as many pages, from the highest down. */
static int free_note(void *arg, const struct pages_row *row)
{
	struct pages *pages = arg;
	uint64_t cnt, number, last = UINT64_MAX;

	if (row->value_len < sizeof(cnt))
		return damage(pages, "the free list has a record that is none");
	memcpy(&cnt, row->value, sizeof(cnt));
	if (cnt > row->value_len / sizeof(cnt) - 1)
		return damage(pages, "the free list has a record that is cut short");
	for (uint64_t i = 1; i <= cnt; i++) {
		memcpy(&number, row->value + i * sizeof(number), sizeof(number));
		if (number >= last || !mark_take(pages, number, MARK_FREE))
			return damage(pages, "the free list has page %llu, which is in use",
				      (unsigned long long)number);
		last = number;
	}
	return 0;
}

static int main_walk(struct pages *pages)
{
	struct walk walk = {.pages = pages,
			    .name = "of databases",
			    .head = &pages->main,
			    .mark = MARK_MAIN,
			    .node_flag = NODE_TREE,
			    .fn = tree_note,
			    .arg = pages};

	return tree_walk(&walk);
}

static int free_walk(struct pages *pages)
{
	struct walk walk = {.pages = pages,
			    .name = "of free pages",
			    .head = &pages->free,
			    .mark = MARK_FREE,
			    .fn = free_note,
			    .arg = pages};

	return tree_walk(&walk);
}

/* --- opening --- */

static int meta_read(struct pages *pages, unsigned number, uint32_t page_len, struct meta *out_meta,
		     bool *out_is_sound)
{
	uint8_t bytes[sizeof(struct page_head) + sizeof(struct meta)];
	struct page_head head;
	int err = store_file_read(pages->config.fd, bytes, sizeof(bytes),
				  (uint64_t)number * page_len);

	*out_is_sound = false;
	if (err < 0)
		return err == WEFT_EDAMAGED ? 0 : err;
	memcpy(&head, bytes, sizeof(head));
	memcpy(out_meta, bytes + sizeof(head), sizeof(*out_meta));
	*out_is_sound = store_page_meta_is_sound(&head, out_meta, number);
	return 0;
}

/* Salvaging, one meta page is enough; page 1 is then looked for at the system's page length. */
static int meta_choose(struct pages *pages, struct meta *out_meta)
{
	struct meta metas[META_CNT] = {0};
	bool is_sound[META_CNT];
	unsigned newest;
	uint32_t page_len = (uint32_t)sysconf(_SC_PAGESIZE);
	int err = meta_read(pages, 0, 0, &metas[0], &is_sound[0]);

	if (err == 0)
		err = meta_read(pages, 1, is_sound[0] ? metas[0].free.pad : page_len, &metas[1],
				&is_sound[1]);
	if (err < 0)
		return err;
	newest = metas[1].txn_id > metas[0].txn_id;
	if (pages->config.is_salvaging) {
		if (!is_sound[0] && !is_sound[1])
			return damage(pages, "both meta pages of the database file are damaged");
		*out_meta = metas[is_sound[0] && is_sound[1] ? newest : is_sound[1]];
		return 0;
	}
	if (!is_sound[0] || !is_sound[1])
		return damage(pages, "a meta page of the database file is damaged");
	if (!store_page_metas_alternate(metas))
		return damage(pages, "the meta pages of the database file contradict each other");
	if (pages->config.is_txn)
		newest = pages->config.txn_id % 2;
	if (pages->config.is_txn && metas[newest].txn_id != pages->config.txn_id)
		return damage(pages, "the database file is not at the commit that it was at");
	*out_meta = metas[newest];
	return 0;
}

static int pages_setup(struct pages *pages)
{
	uint64_t file_cnt;
	struct meta meta;
	struct stat st;
	int err;

	if (fstat(pages->config.fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return WEFT_EABSENT;
	err = meta_choose(pages, &meta);
	if (err < 0)
		return err;
	pages->page_len = meta.free.pad;
	pages->page_cnt = meta.last_page + 1;
	pages->free = meta.free;
	pages->main = meta.main;
	file_cnt = (uint64_t)st.st_size / pages->page_len;
	/*
	 * A commit that frees pages as it goes writes none of them. So the last ones may be missing; one
	 * of these that is in use is found as the trees are walked.
	 */
	if (meta.last_page < META_CNT - 1 || meta.last_page >= file_cnt + UNWRITTEN_MAX) {
		if (!pages->config.is_salvaging)
			return damage(pages, "the database file is shorter than it should be");
		pages->page_cnt = file_cnt;
	}
	pages->marks = calloc((size_t)pages->page_cnt, sizeof(*pages->marks));
	if (!pages->marks)
		return -ENOMEM;
	/* The walk reads all of it, and pages of one database lie anywhere. */
	(void)posix_fadvise(pages->config.fd, 0, READAHEAD_LEN_MAX, POSIX_FADV_WILLNEED);
	err = main_walk(pages);
	/* A list that lies would hide pages from a salvage: it comes last there (store_pages_lost). */
	return err < 0 || pages->config.is_salvaging ? err : free_walk(pages);
}

int store_pages_open(const struct pages_config *config, struct pages **out_pages,
		     char out_finding[static PAGES_FINDING_CAP])
{
	struct pages *pages = calloc(1, sizeof(*pages));
	int err;

	if (!pages)
		return -ENOMEM;
	pages->config = *config;
	err = pages_setup(pages);
	if (err < 0) {
		memcpy(out_finding, pages->finding, sizeof(pages->finding));
		store_pages_close(pages);
		return err;
	}
	*out_pages = pages;
	return 0;
}

void store_pages_close(struct pages *pages)
{
	if (!pages)
		return;
	free(pages->marks);
	free(pages);
}

/* --- databases --- */

static const struct pages_tree *tree_find(const struct pages *pages, const char *database)
{
	for (unsigned i = 0; i < pages->tree_cnt; i++)
		if (strcmp(pages->trees[i].name, database) == 0)
			return &pages->trees[i];
	return NULL;
}

int store_pages_walk(struct pages *pages, const char *database, pages_row_fn fn, void *arg)
{
	const struct pages_tree *tree = tree_find(pages, database);
	struct walk walk = {.pages = pages, .name = database, .fn = fn, .arg = arg};

	if (!tree)
		return 0;
	walk.head = &tree->head;
	walk.mark = (uint8_t)(MARK_TREES + (tree - pages->trees));
	return tree_walk(&walk);
}

uint64_t store_pages_cnt(const struct pages *pages, const char *database)
{
	const struct pages_tree *tree = tree_find(pages, database);

	return tree ? tree->head.branch_cnt + tree->head.leaf_cnt + tree->head.large_cnt : 0;
}

int store_pages_lost(struct pages *pages, pages_row_fn fn, void *arg)
{
	static const struct tree_head any = {.depth = 1};
	struct walk walk = {.pages = pages,
			    .name = "lost",
			    .head = &any,
			    .mark = MARK_LOST,
			    .fn = fn,
			    .arg = arg};
	int err;

	/* Where it is not sound, what looks lost may be free: rows of the past. */
	pages->config.is_salvaging = false;
	err = free_walk(pages);
	pages->config.is_salvaging = true;
	if (err == WEFT_EDAMAGED)
		return damage_pass(pages, err);
	if (err == 0 && !walk_begin(&walk))
		err = -ENOMEM;
	for (uint64_t number = META_CNT; number < pages->page_cnt && err == 0; number++) {
		if (pages->marks[number] != MARK_NONE)
			continue;
		err = page_read(pages, number, walk.levels);
		if (err == 0 &&
		    !store_page_check(walk.levels, pages->page_len, number, PAGE_LEAF)) {
			(void)mark_take(pages, number, MARK_LOST);
			err = damage_pass(pages, leaf_walk(&walk, number, walk.levels));
		}
		if (err == WEFT_EDAMAGED)
			err = 0;
	}
	walk_end(&walk);
	return err;
}

const char *store_pages_finding(const struct pages *pages)
{
	return pages->finding;
}
