/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_JSON_PATH_H
#define WEFT_TESTS_JSON_PATH_H

#include <jansson.h>

/*
 * json_path_at: what is at path below root, names and indices apart by dots, such as
 * "peers.0.node_id"; NULL: nothing. text: "" for no string. number: a boolean is 0 or 1; -1 for what
 * is no integer.
 */
const json_t *json_path_at(const json_t *root, const char *path);
const char *json_path_text(const json_t *root, const char *path);
long long json_path_number(const json_t *root, const char *path);

#endif
