/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_MESSAGE_TYPES_H
#define WEFT_MESH_MESSAGE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The messages of registry.def as a table. A class bounds a payload: the
 * content bytes the class is named for, and MESH_HEAD_LEN_MAX bytes of
 * fields around them.
 */
enum mesh_class {
	MESH_CLASS_NONE,
	MESH_CLASS_SESSION,
	MESH_CLASS_DGRAM,
	MESH_CLASS_ANNOUNCE,
	MESH_CLASS_VALUE,
	MESH_CLASS_BLOB,
	MESH_CLASS_CALL,
	MESH_CLASS_ENVELOPE,
	MESH_CLASS_CNT,
};

#define MESH_HEAD_LEN_MAX 1024u

struct mesh_message_info {
	uint16_t number;
	uint16_t answered_by; /* 0: nothing */
	enum mesh_class request_class;
	enum mesh_class answer_class;
	const char *name;
};

#define MESH_MESSAGE_CNT_MAX 128

/* mesh_registry_lookup: NULL for a number without a message. idx counts the table's rows. */
const struct mesh_message_info *mesh_registry_lookup(unsigned number);
unsigned mesh_registry_idx(const struct mesh_message_info *info);
/* mesh_registry_class: of a message in a role; MESH_CLASS_NONE when it is not seen in it. */
enum mesh_class mesh_registry_class(unsigned number, bool is_answer);
/*
 * mesh_registry_is_answer: type answers request, by answered_by or by the message that refuses in its
 * place, for a reason of its own.
 */
bool mesh_registry_is_answer(const struct mesh_message_info *request, unsigned type);
/* mesh_class_payload_max: 0 for MESH_CLASS_NONE. */
size_t mesh_class_payload_max(enum mesh_class class);

#endif
