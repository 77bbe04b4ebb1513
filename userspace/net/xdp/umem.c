/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and their owners. Beside the rings, on the worker that owns the
 * socket; after init nothing is allocated.
 */
#include "umem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

#define HUGE_PAGE_LEN (2u << 20) /* the smallest of x86 and arm64 with 4 KiB pages */

/* Which hands a frame may go from one to the other; the drawing in the header. */
static const bool may_pass[UMEM_OWNER_CNT][UMEM_OWNER_CNT] = {
	[UMEM_FREE] = {[UMEM_FILLING] = true, [UMEM_WRITING] = true},
	[UMEM_FILLING] = {[UMEM_LENT] = true},
	[UMEM_LENT] = {[UMEM_FILLING] = true},
	[UMEM_WRITING] = {[UMEM_SENDING] = true, [UMEM_FREE] = true},
	[UMEM_SENDING] = {[UMEM_FREE] = true},
};

static size_t round_up(size_t len, size_t unit)
{
	return (len + unit - 1) / unit * unit;
}

static uint8_t *area_map(size_t len, int flags)
{
	void *area =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return area == MAP_FAILED ? NULL : area;
}

size_t net_umem_footprint(uint32_t frame_cnt, uint32_t frame_len)
{
	return round_up((size_t)frame_cnt * frame_len, HUGE_PAGE_LEN);
}

int net_umem_init(struct umem *umem, uint32_t frame_cnt, uint32_t frame_len)
{
	size_t len = (size_t)frame_cnt * frame_len;

	memset(umem, 0, sizeof(*umem));
	if (frame_cnt < 1 || frame_cnt > UMEM_FRAME_CNT_MAX ||
	    (frame_len != UMEM_FRAME_LEN_MIN && frame_len != UMEM_FRAME_LEN_MAX))
		return -EINVAL;
	umem->frame_len = frame_len;
	umem->frame_cnt = frame_cnt;
	umem->len = net_umem_footprint(frame_cnt, frame_len);
	umem->area = area_map(umem->len, MAP_HUGETLB);
	umem->is_huge = umem->area != NULL;
	if (!umem->area) {
		umem->len = round_up(len, (size_t)sysconf(_SC_PAGESIZE));
		umem->area = area_map(umem->len, 0);
	}
	umem->free = malloc(frame_cnt * sizeof(umem->free[0]));
	umem->owners = calloc(frame_cnt, sizeof(umem->owners[0]));
	if (!umem->area || !umem->free || !umem->owners) {
		net_umem_fini(umem);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < frame_cnt; i++)
		umem->free[i] = frame_cnt - 1 - i;
	umem->owned_cnt[UMEM_FREE] = frame_cnt;
	return 0;
}

void net_umem_fini(struct umem *umem)
{
	if (umem->area)
		munmap(umem->area, umem->len);
	free(umem->free);
	free(umem->owners);
	memset(umem, 0, sizeof(*umem));
}

static void frame_check(struct umem *umem, uint64_t addr, enum umem_owner from, enum umem_owner to)
{
#ifdef WEFT_HOT_ASSERTS
	uint64_t frame = addr / umem->frame_len;

	weft_assert(frame < umem->frame_cnt);
	weft_assert(umem->owners[frame] == from);
	umem->owners[frame] = (uint8_t)to;
#else
	(void)umem, (void)addr, (void)from, (void)to;
#endif
}

static void owned_move(struct umem *umem, uint32_t cnt, enum umem_owner from, enum umem_owner to)
{
	weft_assert(may_pass[from][to]);
	weft_assert(umem->owned_cnt[from] >= cnt);
	umem->owned_cnt[from] -= cnt;
	umem->owned_cnt[to] += cnt;
}

uint32_t net_umem_acquire(struct umem *umem, uint64_t *out_addrs, uint32_t cnt, enum umem_owner to)
{
	uint32_t depth = umem->owned_cnt[UMEM_FREE];

	if (cnt > depth)
		cnt = depth;
	for (uint32_t i = 0; i < cnt; i++) {
		out_addrs[i] = (uint64_t)umem->free[--depth] * umem->frame_len;
		frame_check(umem, out_addrs[i], UMEM_FREE, to);
	}
	owned_move(umem, cnt, UMEM_FREE, to);
	return cnt;
}

void net_umem_pass(struct umem *umem, const uint64_t *addrs, uint32_t cnt, enum umem_owner from,
		   enum umem_owner to)
{
	weft_assert(from != UMEM_FREE && to != UMEM_FREE);
	for (uint32_t i = 0; i < cnt; i++)
		frame_check(umem, addrs[i], from, to);
	owned_move(umem, cnt, from, to);
}

void net_umem_release(struct umem *umem, const uint64_t *addrs, uint32_t cnt, enum umem_owner from)
{
	uint32_t depth = umem->owned_cnt[UMEM_FREE];

	owned_move(umem, cnt, from, UMEM_FREE);
	for (uint32_t i = 0; i < cnt; i++) {
		frame_check(umem, addrs[i], from, UMEM_FREE);
		umem->free[depth++] = (uint32_t)(addrs[i] / umem->frame_len);
	}
}

bool net_umem_holds(const struct umem *umem, uint64_t addr, uint32_t len)
{
	uint64_t frame = addr / umem->frame_len;

	return frame < umem->frame_cnt && len <= umem->frame_len &&
	       addr + len <= (frame + 1) * umem->frame_len;
}
