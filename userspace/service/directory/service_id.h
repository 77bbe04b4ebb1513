/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_SERVICE_ID_H
#define WEFT_SERVICE_DIRECTORY_SERVICE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How services are named. A name says what a service does; many nodes may
 * offer one of a name. An id is a name at one owner:
 *
 *	SHA-256("svc:" | name | ":" | "peer:" | z-base-32 of the owner's key)
 *
 * All versions that an owner offers of a name have one id.
 */

/* service_name_is_valid: 1 to SERVICE_NAME_LEN_MAX of [a-z0-9] and, inside, '-' and '.'. */
bool service_name_is_valid(const char *name, size_t len);

/*
 * service_id_of writes SERVICE_ID_LEN bytes; name is valid, owner a node's key.
 * service_id_of_peer: the same of an owner as text, "peer:...", of at most 64 bytes.
 */
void service_id_of(const char *name, const uint8_t *owner, uint8_t *out_id);
void service_id_of_peer(const char *name, const char *peer, uint8_t *out_id);

#endif
