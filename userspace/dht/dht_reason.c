/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/dht_reason.h"

const char *dht_reason_word(enum dht_reason reason)
{
	static const char *const words[] = {
#define DHT_REASON(name, word, code, text) word,
#include "dht/dht_reasons.def"
#undef DHT_REASON
	};

	return words[reason];
}

const char *dht_reason_text(enum dht_reason reason)
{
	static const char *const texts[] = {
#define DHT_REASON(name, word, code, text) text,
#include "dht/dht_reasons.def"
#undef DHT_REASON
	};

	return texts[reason];
}

int dht_reason_code(enum dht_reason reason)
{
	static const int codes[] = {
#define DHT_REASON(name, word, code, text) code,
#include "dht/dht_reasons.def"
#undef DHT_REASON
	};

	return codes[reason];
}
