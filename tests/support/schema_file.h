/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SCHEMA_FILE_H
#define WEFT_TESTS_SCHEMA_FILE_H

#include "offers/schema/schema.h"

/* schema_file_open compiles userspace/offers/shipped/NAME.ini; a test that cannot ends. */
struct schema *schema_file_open(const char *name);
/* schema_file_text: the text of that file with a NUL behind it, to be freed. */
char *schema_file_text(const char *name, size_t *out_len);
/* schema_of_text: of a text that is good; a test that has another ends. */
struct schema *schema_of_text(const char *text);

#endif
