/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_GROUND_SORTED_KEYS_H
#define WEFT_SOCIAL_GROUND_SORTED_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lists of keys, or of ids of posts, in ascending order. Pure, and thread-safe. */
#define SORTED_KEY_LEN 32u

/* social_keys_sort takes equal ones as they are; keys may be NULL for none. */
void social_keys_sort(uint8_t (*keys)[SORTED_KEY_LEN], size_t cnt);
/* social_keys_sort_once leaves each key once, and returns how many there are. */
unsigned social_keys_sort_once(uint8_t (*keys)[SORTED_KEY_LEN], size_t cnt);
/* social_keys_have: key is in a list that ascends. */
bool social_keys_have(const uint8_t (*keys)[SORTED_KEY_LEN], size_t cnt, const uint8_t *key);

#endif
