/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_REASON_H
#define WEFT_DHT_DHT_REASON_H

#include "weft/reason_table.h"

/* The outcome of a datagram, and the index of a counter. The code is a KRPC error, or 0. */
enum dht_reason {
#define REASON WEFT_REASON_NAME
#include "dht/dht_reasons.def"
	DHT_REASON_CNT,
};
extern const struct weft_reason_row dht_reasons[DHT_REASON_CNT];

#endif
