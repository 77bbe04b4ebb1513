/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of frames: blocks of 2 KiB, each a slot of one fair pool. Those of a frame that arrives
 * belong to its sender, those of a frame that waits to its receiver. No frame is copied on the way
 * from one to the other. Home.
 */
#include "relay/web/web_state.h"

#include <string.h>

static struct relay_web_block *block_of(struct list_node *node)
{
	return container_of(node, struct relay_web_block, link);
}

struct relay_web_message *relay_web_message_new(struct relay_web_conn *conn)
{
	struct relay_web_message *message = pool_acquire(&conn->web->messages);

	if (!message)
		return NULL;
	message->conn = conn;
	list_init(&message->link);
	list_init(&message->blocks);
	return message;
}

void relay_web_message_drop(struct relay_web_message *message)
{
	struct relay_web_conn *conn = message->conn;
	struct relay_web *web = conn->web;

	if (!list_is_empty(&message->link))
		conn->queue_cnt--, web->stats.queue_cnt--;
	list_unlink(&message->link);
	while (!list_is_empty(&message->blocks)) {
		struct relay_web_block *block = block_of(message->blocks.next);

		list_unlink(&block->link);
		fair_release(&web->memory.fair, &block->share, web->now_ns);
		pool_release(&web->blocks, block);
	}
	if (conn->incoming == message)
		conn->incoming = NULL;
	pool_release(&web->messages, message);
}

/* The account that holds most pays with its oldest frame, which may be under way in either direction. */
static void message_evict(struct relay_web_message *message)
{
	struct relay_web_conn *conn = message->conn;

	conn->web->stats.no_memory_cnt++;
	if (conn->incoming == message) {
		conn->is_skipping = true;
	} else if (message->sent_len) {
		/* Half a frame can only be ended with its connection. */
		conn->is_cut = true;
		relay_web_conn_want_write(conn);
	}
	relay_web_message_drop(message);
}

static struct relay_web_block *block_new(struct relay_web_message *message)
{
	struct relay_web *web = message->conn->web;
	struct relay_web_block *block;
	struct fair_item *victim = NULL;
	struct fair_item share = {0};

	/* One block is spare, so that the pool has one while a victim leaves. */
	block = pool_acquire(&web->blocks);
	if (!block)
		return NULL;
	block->share = share;
	switch (fair_take(&web->memory.fair, &message->conn->path, &block->share, web->now_ns,
			  &victim)) {
	case FAIR_BUSY:
		pool_release(&web->blocks, block);
		return NULL;
	case FAIR_TAKEN_FROM: {
		struct relay_web_message *paying = ((struct relay_web_block *)victim)->message;

		if (paying == message) {
			fair_release(&web->memory.fair, &block->share, web->now_ns);
			pool_release(&web->blocks, block);
			return NULL;
		}
		message_evict(paying);
		break;
	}
	case FAIR_TAKEN:
		break;
	}
	block->message = message;
	list_push_back(&message->blocks, &block->link);
	return block;
}

bool relay_web_message_append(struct relay_web_message *message, const uint8_t *data, size_t len)
{
	while (len) {
		struct relay_web_block *block =
			list_is_empty(&message->blocks) ? NULL : block_of(message->blocks.prev);
		size_t part;

		if (!block || block->len == sizeof(block->data))
			block = block_new(message);
		if (!block)
			return false;
		part = sizeof(block->data) - block->len;
		if (part > len)
			part = len;
		memcpy(block->data + block->len, data, part);
		block->len += (uint32_t)part;
		message->len += (uint32_t)part;
		data += part;
		len -= part;
	}
	return true;
}

void relay_web_message_move(struct relay_web_message *message, struct relay_web_conn *conn)
{
	struct relay_web *web = conn->web;

	if (message->conn->incoming == message)
		message->conn->incoming = NULL;
	message->conn = conn;
	for (struct list_node *at = message->blocks.next; at != &message->blocks; at = at->next)
		fair_move(&web->memory.fair, &block_of(at)->share, &conn->path, web->now_ns);
	list_push_back(&conn->queue, &message->link);
	conn->queue_cnt++;
	web->stats.queue_cnt++;
	if (conn->queue_cnt > web->stats.queue_peak_cnt)
		web->stats.queue_peak_cnt = conn->queue_cnt;
}

uint8_t *relay_web_message_first(const struct relay_web_message *message, size_t *out_len)
{
	struct relay_web_block *block = block_of(message->blocks.next);

	*out_len = block->len;
	return block->data;
}

size_t relay_web_message_take(struct relay_web_message *message, uint8_t *dst, size_t cap)
{
	size_t off = message->sent_len, len = 0;

	for (struct list_node *at = message->blocks.next; at != &message->blocks && len < cap;
	     at = at->next) {
		const struct relay_web_block *block = block_of(at);
		size_t part = block->len;

		if (off >= part) {
			off -= part;
			continue;
		}
		part -= off;
		if (part > cap - len)
			part = cap - len;
		memcpy(dst + len, block->data + off, part);
		len += part;
		off = 0;
	}
	message->sent_len += (uint32_t)len;
	return len;
}
