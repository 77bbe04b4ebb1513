/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_LIST_H
#define WEFT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/container_of.h"

/*
 * A ring of nodes embedded in their objects; the head is a node too.
 * An unlinked node points to itself, so unlinking twice is harmless.
 */
struct list_node {
	struct list_node *next;
	struct list_node *prev;
};

static inline void list_init(struct list_node *node)
{
	node->next = node;
	node->prev = node;
}

static inline bool list_is_empty(const struct list_node *head)
{
	return head->next == head;
}

/* list_first gives the object whose member is the first of the list; NULL: the list is empty. */
#define list_first(head, type, member)                                                             \
	(list_is_empty(head) ? NULL : container_of((head)->next, type, member))

static inline void list_unlink(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* list_push_back: node is not in a list. */
static inline void list_push_back(struct list_node *head, struct list_node *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

#endif
