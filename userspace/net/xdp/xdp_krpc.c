/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables that the program answers the DHT's questions from, mapped, for
 * they are written word by word while it reads.
 */
#include <errno.h>
#include <sys/mman.h>

#include "xdp_state.h"

#define SELVES_LEN  (WEFT_KRPC_FAMILY_CNT * sizeof(struct weft_krpc_self))
#define BUCKETS_LEN (WEFT_KRPC_BUCKETS_CNT * sizeof(struct weft_krpc_bucket))
#define KEYS_LEN    sizeof(struct weft_krpc_reply_keys)
#define HELD_LEN    (WEFT_KRPC_HELD_WORD_CNT * sizeof(__u64))

/* NULL: errno has the reason. */
static void *table_map(const struct xdp *xdp, enum xdp_map map, size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, xdp->maps[map], 0);

	return at == MAP_FAILED ? NULL : at;
}

static void table_unmap(void *at, size_t len)
{
	if (at)
		munmap(at, len);
}

int net_xdp_krpc_map(struct xdp *xdp)
{
	struct weft_krpc_tables *krpc = &xdp->krpc;

	krpc->selves = table_map(xdp, XDP_MAP_KRPC_SELVES, SELVES_LEN);
	krpc->buckets = krpc->selves ? table_map(xdp, XDP_MAP_KRPC_BUCKETS, BUCKETS_LEN) : NULL;
	krpc->held = krpc->buckets ? table_map(xdp, XDP_MAP_KRPC_HELD, HELD_LEN) : NULL;
	krpc->reply_keys = krpc->held ? table_map(xdp, XDP_MAP_KRPC_KEYS, KEYS_LEN) : NULL;
	return krpc->reply_keys ? 0 : -errno;
}

void net_xdp_krpc_unmap(struct xdp *xdp)
{
	table_unmap(xdp->krpc.selves, SELVES_LEN);
	table_unmap(xdp->krpc.buckets, BUCKETS_LEN);
	table_unmap(xdp->krpc.held, HELD_LEN);
	table_unmap(xdp->krpc.reply_keys, KEYS_LEN);
	xdp->krpc = (struct weft_krpc_tables){.selves = NULL};
}

const struct weft_krpc_tables *net_xdp_krpc_tables(const struct xdp *xdp)
{
	return xdp->krpc.reply_keys ? &xdp->krpc : NULL;
}
