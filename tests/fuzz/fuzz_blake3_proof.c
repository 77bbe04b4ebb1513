/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The file length and range come from the input; what verifies is a part of the proof. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t dst[BLAKE3_PROOF_GROUPS_MAX * BLAKE3_GROUP_LEN];
	struct cursor c = cursor_of(data, len);
	struct blake3_range range = {
		.file_len = cursor_be64(&c),
		.first_group = cursor_be64(&c),
		.group_cnt = cursor_u8(&c),
	};
	uint8_t root[BLAKE3_HASH_LEN];

	cursor_copy(&c, root, sizeof(root));
	if (blake3_proof_verify(root, &range, &c, dst) == 0)
		weft_assert(blake3_range_len(&range) <= len);
	return 0;
}
