/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_DESCRIPTOR_H
#define WEFT_SERVICE_DIRECTORY_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "service/fault.h"
#include "service/directory/read_only.h"
#include "service/service.h"

struct node_key;

/*
 * The owner's statement about a service: a signed object (crypto/signed.h) with the tag "svcdesc"
 * and this body (docs/wire/descriptor.md):
 *
 *	0 service id 32 | 1 name | 2 version | 3 owner 32 | 4 endpoints [PeerAddr] |
 *	5 metadata {text: text} | 6 created s | 7 expires s | 8 sequence number | 9 gone? |
 *	10 [read-only method]?
 *
 * Readers skip unknown fields. Pure.
 */
#define SERVICE_DESCRIPTOR_TAG	     "svcdesc"
#define SERVICE_DESCRIPTOR_LEN_MAX   16384u
#define SERVICE_METADATA_MAX	     10u
#define SERVICE_METADATA_LEN_MAX     4096u /* keys and values, added up */
#define SERVICE_DESCRIPTOR_TTL_S_MIN 60u
#define SERVICE_DESCRIPTOR_TTL_S_MAX 3600u
#define SERVICE_SKEW_S		     300u /* by which clocks may differ */

struct service_pair {
	const char *key, *value; /* not NUL-terminated */
	size_t key_len, value_len;
};

struct service_descriptor {
	uint8_t id[SERVICE_ID_LEN];
	uint8_t owner[MESH_KEY_LEN];
	char name[SERVICE_NAME_LEN_MAX + 1];
	char version[SERVICE_VERSION_LEN_MAX + 1];
	uint32_t major;		   /* of version */
	bool is_gone;		   /* the owner withdrew it */
	struct peer_places places; /* its endpoints */
	unsigned metadata_cnt;
	struct service_pair metadata[SERVICE_METADATA_MAX]; /* borrow the bytes */
	struct service_read_only read_only;		    /* borrows, too */
	uint64_t created_s, expires_s; /* wall clock; the life is within TTL_S_MIN and TTL_S_MAX */
	uint64_t seq;
};

/*
 * service_descriptor_check says whether what is to be offered keeps the limits
 * of a descriptor: name, version, metadata, read-only methods.
 */
enum service_fault service_descriptor_check(const struct service_offering *offering);

/*
 * service_descriptor_write signs descriptor as key's owner and writes it; id, owner and
 * major are set by it from key, name and version. The metadata may be in any order.
 * SERVICE_FINE, or what is wrong with it; w is bad when there is no room.
 */
enum service_fault service_descriptor_write(struct writer *w, const struct node_key *key,
					    struct service_descriptor *descriptor);

/*
 * service_descriptor_parse checks all but times and signature: form, limits,
 * and that owner, signer and id belong together. service_descriptor_verify
 * checks those as well. *out_descriptor borrows bytes; it is written only with SERVICE_FINE.
 */
enum service_fault service_descriptor_parse(const void *bytes, size_t len,
					    struct service_descriptor *out_descriptor);
enum service_fault service_descriptor_verify(const void *bytes, size_t len, uint64_t wall_s,
					     struct service_descriptor *out_descriptor);
/*
 * The two halves of verifying what was parsed: service_descriptor_check_times gives SERVICE_FINE,
 * SERVICE_EXPIRED or SERVICE_FUTURE, service_descriptor_check_signature
 * SERVICE_FINE or SERVICE_BAD_SIGNATURE.
 */
enum service_fault service_descriptor_check_times(const struct service_descriptor *descriptor,
						  uint64_t wall_s);
enum service_fault service_descriptor_check_signature(const void *bytes, size_t len);

/* service_descriptor_says: its metadata has key with value. */
bool service_descriptor_says(const struct service_descriptor *descriptor, const char *key,
			     const char *value);

#endif
