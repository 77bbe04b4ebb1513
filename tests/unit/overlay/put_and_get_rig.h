/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PUT_AND_GET_RIG_H
#define WEFT_TESTS_PUT_AND_GET_RIG_H

#include "base/monotonic.h"
#include "crypto/sha256.h"
#include "mesh/session/hello.h"
#include "overlay/book.h"
#include "support/check.h"
#include "support/overlay_lab.h"

/* Nodes of an overlay that put and get values. */

static struct overlay_lab lab;
static struct overlay_lab_result result;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static inline struct overlay_lab_value value_of(uint8_t writer, uint64_t seq)
{
	return (struct overlay_lab_value){.writer = writer,
					  .seq = seq,
					  .created_s = mesh_lab_wall_s(&lab.mesh),
					  .expires_s = mesh_lab_wall_s(&lab.mesh) + 86400};
}

static inline void begin(unsigned cnt)
{
	overlay_lab_init(&lab, 5, 64, &calm);
	overlay_lab_grow(&lab, cnt, NS_PER_S);
	(void)overlay_lab_run(&lab, 60 * NS_PER_S, NULL, NULL);
}

#endif
