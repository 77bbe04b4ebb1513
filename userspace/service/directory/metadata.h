/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_METADATA_H
#define WEFT_SERVICE_DIRECTORY_METADATA_H

#include "descriptor.h"

/*
 * The metadata of a descriptor: at most SERVICE_METADATA_MAX texts by texts,
 * SERVICE_METADATA_LEN_MAX bytes, nothing about persons. Pure.
 */

/*
 * service_metadata_check returns SERVICE_FINE, or MANY_, LONG_, PRIVATE_ or BAD_METADATA.
 * Private are keys with the word username, email or ip, in any case. A word reaches from one
 * bound to the next: an end of the key, a character that is no letter, or a capital of
 * camelCase. So "email", "ip-address", "publicIP" and "IPv4" are private, and "zip",
 * "description" and "ipsum" are not.
 */
enum service_fault service_metadata_check(const struct service_pair *pairs, unsigned cnt);
/* service_metadata_take makes checked pairs of cnt texts; they borrow them. As check. */
enum service_fault service_metadata_take(const struct service_metadata *texts, unsigned cnt,
					 struct service_pair pairs[static SERVICE_METADATA_MAX]);
/* service_metadata_sort: in the order of deterministic CBOR, shorter keys first. */
void service_metadata_sort(struct service_pair *pairs, unsigned cnt);
/* service_metadata_write writes sorted pairs as a map. */
void service_metadata_write(struct writer *w, const struct service_pair *pairs, unsigned cnt);

#endif
