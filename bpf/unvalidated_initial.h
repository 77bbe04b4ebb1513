/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_UNVALIDATED_INITIAL_H
#define WEFT_BPF_UNVALIDATED_INITIAL_H

#include "limit_tables.h"
#include "weft/unvalidated.h"

__attribute__((noinline)) int unvalidated_initial(struct weft_facts *facts)
{
	struct weft_scratch *head = scratch_acquire();

	return head && facts ? (int)weft_policy_initial(0, head->bytes, facts)
			     : WEFT_REASON_NO_TABLES;
}

/*
 * Words of the packet are copied where they can be read at any offset. They
 * are judged when judge_frame has returned: together the two would need more
 * stack than there is.
 */
#define UNVALIDATED_WAITS WEFT_REASON_CNT

WEFT_INLINE enum weft_reason weft_call_initial(struct weft_tables *tables,
					       const struct weft_view *view,
					       struct weft_facts *facts)
{
	struct weft_scratch *head = scratch_acquire();

	if (!head || view->data + WEFT_HEAD_LEN > view->end)
		return WEFT_REASON_NO_TABLES;
	WEFT_UNROLL
	for (__u32 off = 0; off < WEFT_HEAD_LEN; off += 8)
		weft_store_le64(head->bytes + off, weft_load_le64(view->data + off));
	return UNVALIDATED_WAITS;
}

#endif
