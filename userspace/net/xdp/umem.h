/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_UMEM_H
#define WEFT_NET_XDP_UMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Private to net/: the memory that an AF_XDP socket shares with the
 * kernel, cut into frames of one length. Each frame has one owner at any
 * time, and changes it only here:
 *
 *         acquire            pass               pass
 *   FREE ---------> FILLING ------> LENT -----------------> FILLING
 *   FREE ---------> WRITING ------> SENDING --> FREE  (release)
 *                   WRITING --> FREE                  (release)
 *
 * Counts by owner are always kept; builds with WEFT_HOT_ASSERTS check each
 * frame. A frame is named by an address: its offset in the area, to which
 * the kernel may have added an offset within the frame. One worker has a
 * umem at a time.
 */
enum umem_owner {
	UMEM_FREE,    /* without an owner, on the stack */
	UMEM_FILLING, /* the kernel's, to receive into */
	UMEM_LENT,    /* received, the worker's until its next burst */
	UMEM_WRITING, /* being filled with what is to be sent */
	UMEM_SENDING, /* the kernel's, until completed */
	UMEM_OWNER_CNT,
};

/* Kernel limits: frames are powers of two from 2,048 bytes to a page. */
#define UMEM_FRAME_LEN_MIN 2048
#define UMEM_FRAME_LEN_MAX 4096
#define UMEM_FRAME_CNT_MAX 65536

struct umem {
	uint8_t *area;
	size_t len; /* of the mapping, whole pages of its kind */
	uint32_t frame_len, frame_cnt;
	bool is_huge; /* lies on huge pages */
	uint32_t owned_cnt[UMEM_OWNER_CNT];
	uint32_t *free; /* stack of frame numbers; owned_cnt[UMEM_FREE] deep */
	uint8_t *owners;
};

/*
 * net_umem_init maps frame_cnt (1 to UMEM_FRAME_CNT_MAX) frames of frame_len
 * bytes (2,048 or 4,096), on huge pages when there are any, all free.
 * Returns 0, -EINVAL or -ENOMEM. fini takes a zeroed umem, too.
 */
WEFT_MUST_CHECK
int net_umem_init(struct umem *umem, uint32_t frame_cnt, uint32_t frame_len);
void net_umem_fini(struct umem *umem);
/* net_umem_footprint: bytes that init maps, at most. */
size_t net_umem_footprint(uint32_t frame_cnt, uint32_t frame_len);

/* net_umem_acquire takes up to cnt free frames for owner to, and returns how many. */
uint32_t net_umem_acquire(struct umem *umem, uint64_t *out_addrs, uint32_t cnt, enum umem_owner to);
/* net_umem_pass: the frames at addrs change owner. */
void net_umem_pass(struct umem *umem, const uint64_t *addrs, uint32_t cnt, enum umem_owner from,
		   enum umem_owner to);
/* net_umem_release: the frames at addrs are free again. */
void net_umem_release(struct umem *umem, const uint64_t *addrs, uint32_t cnt, enum umem_owner from);
/* net_umem_holds: len bytes at addr lie in one frame. For what came out of a ring. */
bool net_umem_holds(const struct umem *umem, uint64_t addr, uint32_t len);

static inline uint8_t *umem_data(const struct umem *umem, uint64_t addr)
{
	return umem->area + addr;
}

#endif
