/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_PUBLISH_LABEL_H
#define WEFT_SHARES_PUBLISH_LABEL_H

#include <stdbool.h>

#include "blobs/manifest/manifest.h"
#include "weft/err.h"

/*
 * A publisher's statements about files besides their names: the media type, from the end of the
 * name, and tags, from rules. Rules are lines of "TAG", for all files, or "GLOB=TAG", for those
 * whose path or name it matches (fnmatch). Pure.
 */
#define LABEL_RULES_CAP 4096u

/* shares_label_rules_check: 0, WEFT_ETOOLARGE, or WEFT_EMALFORMED (a line that is no rule). */
WEFT_MUST_CHECK
int shares_label_rules_check(const char *rules);
/*
 * shares_label_item sets mime and tags of item, whose path ends with a NUL; tags are put into
 * the caller's array. When there are more than MANIFEST_TAGS_MAX, the first rules' are taken.
 */
void shares_label_item(const char *rules, struct manifest_item *item,
		       struct manifest_tag tags[static MANIFEST_TAGS_MAX]);
/* shares_label_mime: by the end of name; NULL: not known. */
const char *shares_label_mime(const char *name);

#endif
