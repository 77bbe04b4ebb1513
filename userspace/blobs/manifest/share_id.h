/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_MANIFEST_SHARE_ID_H
#define WEFT_BLOBS_MANIFEST_SHARE_ID_H

#include <stdint.h>

#include "crypto/sha256.h"

/* A share is named by the SHA-256 of its public key; manifests of its revisions carry the id. */
#define SHARE_ID_LEN 32

/* The revision that says that there will be none any more; its manifest id is all zero. */
#define HEAD_SEQ_REVOKED UINT64_MAX

static inline void share_id_of(const uint8_t key[static 32], uint8_t out_id[static SHARE_ID_LEN])
{
	sha256(key, 32, out_id);
}

#endif
