/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "config/config_table.h"

/*
 * The first byte chooses a key, the rest is its value. What is accepted
 * prints as text that is accepted again and prints the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct node_config config;
	const struct config_key *key;
	char text[1025], why[CONFIG_WHY_CAP];
	char printed[CONFIG_VALUE_CAP], again[CONFIG_VALUE_CAP];

	if (len < 1 || len > sizeof(text))
		return 0;
	key = &config_keys[data[0] % config_key_cnt];
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	if (config_value_parse(key, text, false, &config, why) < 0)
		return 0;
	config_value_format(key, &config, printed);
	weft_assert(config_value_parse(key, printed, false, &config, why) == 0);
	weft_assert(strcmp(config_value_format(key, &config, again), printed) == 0);
	return 0;
}
