/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the bytes of one page can be a page of LMDB. */
#include "store/page.h"

#include <stddef.h>
#include <string.h>

static uint16_t node_off(const uint8_t *page, unsigned i)
{
	uint16_t off;

	memcpy(&off, page + sizeof(struct page_head) + 2ul * i, sizeof(off));
	return off;
}

unsigned store_page_node_cnt(const struct page_head *head)
{
	return (head->lower - (unsigned)sizeof(*head)) / 2;
}

/* The bytes of the node at off, without the padding; 0: it does not fit into the page. */
static uint32_t node_len(const uint8_t *page, uint32_t page_len, uint32_t off, bool is_leaf)
{
	struct node node;
	uint64_t len;

	if (page_len - off < NODE_HEAD_LEN)
		return 0;
	memcpy(&node, page + off, sizeof(node));
	len = NODE_HEAD_LEN + (uint64_t)node.key_len;
	if (is_leaf)
		len += node.flags & NODE_LARGE ? sizeof(uint64_t)
					       : node.low | (uint32_t)node.high << 16;
	return len <= page_len - off ? (uint32_t)len : 0;
}

static const char *nodes_check(const uint8_t *page, uint32_t page_len, const struct page_head *head)
{
	bool is_leaf = head->flags & PAGE_LEAF;
	uint64_t begins[PAGE_LEN_MAX / 2 / 64] = {0};
	unsigned cnt = store_page_node_cnt(head), met = 0;
	uint32_t off;

	for (unsigned i = 0; i < cnt; i++) {
		off = node_off(page, i);
		if (off < head->upper || off >= page_len || off % 2)
			return "an offset points outside";
		begins[off / 2 / 64] |= 1ull << (off / 2 % 64);
	}
	for (off = head->upper; off < page_len; met++) {
		uint32_t len = node_len(page, page_len, off, is_leaf);

		if (!(begins[off / 2 / 64] >> (off / 2 % 64) & 1) || len == 0)
			return "its nodes do not add up";
		off += (len + 1) & ~1u;
	}
	return off == page_len && met == cnt ? NULL : "its nodes do not add up";
}

const char *store_page_check(const uint8_t *page, uint32_t page_len, uint64_t number, uint16_t kind)
{
	struct page_head head;

	memcpy(&head, page, sizeof(head));
	if (head.number != number)
		return "it calls itself another";
	if (head.flags != kind)
		return "it is of another kind";
	if (head.lower < sizeof(head) || head.lower % 2 || head.lower > head.upper ||
	    head.upper > page_len)
		return "its bounds are impossible";
	if (store_page_node_cnt(&head) < (kind == PAGE_BRANCH ? 2 : 1))
		return "it has too few nodes";
	return nodes_check(page, page_len, &head);
}

struct node_view store_page_node(const uint8_t *page, unsigned i)
{
	const uint8_t *at = page + node_off(page, i);
	struct node_view view;

	memcpy(&view.head, at, sizeof(view.head));
	view.key = at + NODE_HEAD_LEN;
	view.data = view.key + view.head.key_len;
	view.value_len = view.head.low | (uint32_t)view.head.high << 16;
	return view;
}

bool store_page_meta_is_sound(const struct page_head *head, const struct meta *meta,
			      unsigned number)
{
	return head->number == number && head->flags == PAGE_META && meta->magic == META_MAGIC &&
	       meta->version == META_VERSION && meta->free.pad >= PAGE_LEN_MIN &&
	       meta->free.pad <= PAGE_LEN_MAX && (meta->free.pad & (meta->free.pad - 1)) == 0 &&
	       meta->free.flags == TREE_INTEGER && meta->main.flags == 0 && meta->main.pad == 0;
}

bool store_page_metas_alternate(const struct meta metas[static META_CNT])
{
	uint64_t even = metas[0].txn_id, odd = metas[1].txn_id;

	if (even == 0 && odd <= 1)
		return true;
	return even % 2 == 0 && odd % 2 == 1 && (even + 1 == odd || odd + 1 == even);
}
