/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_IMPORT_IMPORT_H
#define WEFT_CONTENT_IMPORT_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct content;
struct imports;

/*
 * Imports: one runs, some wait. content_share_add and
 * content_import_cancel of content.h are implemented here. Home worker;
 * walking and hashing run in a pool of their own, so that reads for peers
 * never queue behind a slice.
 */
#define IMPORTS_MAX 16

WEFT_MUST_CHECK
int imports_new(struct content *content, struct imports **out_imports);
/*
 * imports_stop ends what runs without telling; what was hashed is kept. Its
 * batches may still be in the store: flush it between stop and free.
 */
void imports_stop(struct imports *imports);
void imports_free(struct imports *imports);
int imports_fd(const struct imports *imports);
void imports_reap(struct imports *imports, uint64_t now_ns);
uint32_t imports_cnt(const struct imports *imports);
/* imports_is_hashing: jobs are under way that imports_reap runs or takes in. */
bool imports_is_hashing(const struct imports *imports);

#endif
