/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_LIMIT_TABLES_H
#define WEFT_BPF_LIMIT_TABLES_H

#include "maps.h"
#include "weft/limit.h"
#include "weft/validated.h"

__attribute__((noinline)) int limit_admit(const struct weft_endpoint *source, __u32 class,
					  __u64 now_ns)
{
	return source ? weft_limit_admit(0, source, class, now_ns) : 0;
}

WEFT_INLINE _Bool weft_call_admit(struct weft_tables *tables, const struct weft_endpoint *source,
				  __u32 class, __u64 now_ns)
{
	return limit_admit(source, class, now_ns) != 0;
}

__attribute__((noinline)) int validated_way(const struct weft_endpoint *source)
{
	return source ? weft_validated_way(0, source) : -1;
}

WEFT_INLINE int weft_call_validated_way(struct weft_tables *tables,
					const struct weft_endpoint *source)
{
	return validated_way(source);
}

__attribute__((noinline)) int validated_victim(const struct weft_endpoint *source)
{
	return source ? weft_validated_victim(0, source) : -1;
}

WEFT_INLINE int weft_call_validated_victim(struct weft_tables *tables,
					   const struct weft_endpoint *source)
{
	return validated_victim(source);
}

#endif
