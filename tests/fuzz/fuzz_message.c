/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/content_message.h"

#include "base/assert.h"
#include "mesh/seam.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first byte picks the message; an answer's bytes lie inside the input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned requests[] = {MESH_GET_MANIFEST, MESH_GET_CHUNK,
					    MESH_GET_CHUNK_HASHES, MESH_RANGE_PROOF};
	static const unsigned answers[] = {MESH_MANIFEST_DATA, MESH_CHUNK_DATA,
					   MESH_CHUNK_HASH_LIST, MESH_RANGE_PROOF};
	struct message_request request;
	struct message_answer answer;

	if (len == 0)
		return 0;
	(void)!blobs_message_request_parse(requests[data[0] % 4], data + 1, len - 1, &request);
	if (blobs_message_answer_parse(answers[data[0] % 4], data + 1, len - 1, &answer) == 0)
		weft_assert(answer.len <= len);
	return 0;
}
