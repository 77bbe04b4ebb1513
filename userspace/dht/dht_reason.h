/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_REASON_H
#define WEFT_DHT_DHT_REASON_H

/* What became of a datagram, and the index of a counter (dht_reasons.def). */
enum dht_reason {
#define DHT_REASON(name, word, code, text) DHT_##name,
#include "dht/dht_reasons.def"
#undef DHT_REASON
	DHT_REASON_CNT,
};

/* dht_reason_{word,text}: "bad-token" and what it means, for people. */
const char *dht_reason_word(enum dht_reason reason);
const char *dht_reason_text(enum dht_reason reason);
/* dht_reason_code: the KRPC error that the sender is told, or 0: nothing. */
int dht_reason_code(enum dht_reason reason);

#endif
