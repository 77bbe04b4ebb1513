/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/lending.h"

#include "base/heap.h"

#define COPY_LEN_MAX 4096 /* less is copied by the channel: a block that waits costs more */

bool lending_init(struct lending *lending, struct heap *heap, size_t head_len,
		  void (*returned)(struct lending *lending))
{
	*lending = (struct lending){.heap = heap, .returned = returned};
	lending->head.lending = lending;
	for (unsigned i = 0; i < LENDING_BLOCK_CNT; i++)
		lending->blocks[i].lending = lending;
	lending->head.data = heap_alloc(heap, head_len);
	return lending->head.data;
}

void lending_release(struct loan *loan)
{
	heap_release(loan->lending->heap, loan->data);
	loan->data = NULL;
}

void lending_fini(struct lending *lending)
{
	lending_release(&lending->head);
	for (unsigned i = 0; i < LENDING_BLOCK_CNT; i++)
		lending_release(&lending->blocks[i]);
}

struct loan *lending_acquire(struct lending *lending)
{
	struct loan *loan = NULL;

	for (unsigned i = 0; i < LENDING_BLOCK_CNT && !loan; i++)
		if (!lending->blocks[i].data)
			loan = &lending->blocks[i];
	if (!loan)
		return NULL;
	loan->data = heap_alloc(lending->heap, LENDING_BLOCK_LEN);
	lending->is_starved = !loan->data;
	return loan->data ? loan : NULL;
}

void lending_pend(struct loan *loan, size_t len)
{
	struct lending *lending = loan->lending;

	loan->len = len;
	lending->pending[lending->pending_cnt++] = loan;
}

static void loan_returned(void *arg)
{
	struct loan *loan = arg;

	loan->is_lent = false;
	lending_release(loan);
	loan->lending->returned(loan->lending);
}

static int loan_send(struct loan *loan, struct service_channel *channel)
{
	const struct service_piece piece = {.data = loan->data, .len = loan->len, .is_last = true};
	int err;

	if (loan->len <= COPY_LEN_MAX) {
		err = service_channel_send(channel, &piece, NULL, NULL);
		if (err == 0)
			lending_release(loan);
		return err;
	}
	loan->is_lent = true;
	err = service_channel_send(channel, &piece, loan_returned, loan);
	if (err < 0)
		loan->is_lent = false;
	return err;
}

bool lending_send(struct lending *lending, struct service_channel *channel)
{
	while (lending->pending_cnt) {
		/* Of a channel that is closed one hears by its end. */
		if (loan_send(lending->pending[0], channel) < 0)
			return false;
		lending->pending[0] = lending->pending[1];
		lending->pending_cnt--;
	}
	return true;
}

bool lending_has_room(const struct lending *lending)
{
	for (unsigned i = 0; i < LENDING_BLOCK_CNT; i++)
		if (!lending->blocks[i].data)
			return true;
	return false;
}

bool lending_owes(const struct lending *lending)
{
	if (lending->head.is_lent)
		return true;
	for (unsigned i = 0; i < LENDING_BLOCK_CNT; i++)
		if (lending->blocks[i].is_lent)
			return true;
	return false;
}
