/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message registry: which numbers exist, what may answer what, and
 * how large each may be. Constant data; any thread.
 */
#include "mesh/message_types.h"

static const struct mesh_message_info registry[] = {
#define MESH_MESSAGE(number, name, request, answer, answered_by, doc)                              \
	{number, answered_by, MESH_CLASS_##request, MESH_CLASS_##answer, #name},
#define MESH_RANGE(first, last, doc)
#include "mesh/registry.def"
#undef MESH_MESSAGE
#undef MESH_RANGE
};
#define REGISTRY_CNT (sizeof(registry) / sizeof(registry[0]))
_Static_assert(REGISTRY_CNT <= MESH_MESSAGE_CNT_MAX, "handler tables have a row per message");

const struct mesh_message_info *mesh_registry_lookup(unsigned number)
{
	size_t low = 0, high = REGISTRY_CNT;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (registry[mid].number == number)
			return &registry[mid];
		if (registry[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

unsigned mesh_registry_idx(const struct mesh_message_info *info)
{
	return (unsigned)(info - registry);
}

enum mesh_class mesh_registry_class(unsigned number, bool is_answer)
{
	const struct mesh_message_info *info = mesh_registry_lookup(number);

	if (!info)
		return MESH_CLASS_NONE;
	return is_answer ? info->answer_class : info->request_class;
}

bool mesh_registry_is_answer(const struct mesh_message_info *request, unsigned type)
{
	/* The requests that have a message of refusal. */
	static const struct {
		uint16_t request, refusal;
	} refusals[] = {{612, 614}, {630, 632}};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (request->number == refusals[i].request && type == refusals[i].refusal)
			return true;
	return request->answered_by && type == request->answered_by;
}

size_t mesh_class_payload_max(enum mesh_class class)
{
	/* The sizes of docs/wire/frames.md; a chunk is a blob, a value one of the overlay. */
	static const size_t payload_max[MESH_CLASS_CNT] = {
		[MESH_CLASS_SESSION] = 1200,
		[MESH_CLASS_DGRAM] = 1200,
		[MESH_CLASS_ANNOUNCE] = 65535,
		[MESH_CLASS_VALUE] = 65536 + MESH_HEAD_LEN_MAX,
		[MESH_CLASS_BLOB] = 262144 + MESH_HEAD_LEN_MAX,
		[MESH_CLASS_CALL] = 1048576 + MESH_HEAD_LEN_MAX,
		[MESH_CLASS_ENVELOPE] = 2097152,
	};

	return payload_max[class];
}
