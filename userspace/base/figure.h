/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FIGURE_H
#define WEFT_BASE_FIGURE_H

#include <stdint.h>

/*
 * FIGURE_FIELD makes a field of a module's struct of a row of its *_counters.def:
 *
 *	struct quic_stats {
 *	#define FIGURE FIGURE_FIELD
 *	#include "quic/quic_counters.def"
 *	};
 */
#define FIGURE_FIELD(kind, field, meaning) FIGURE_TYPE_##kind field;
#define FIGURE_TYPE_COUNTER		   uint64_t
#define FIGURE_TYPE_FILL		   uint32_t
#define FIGURE_TYPE_BYTES		   uint64_t

#endif
