/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_PODS_POD_H
#define WEFT_BUILTIN_PODS_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "base/list.h"
#include "provider/tenant/tenant.h"
#include "weft/err.h"

struct pods;

/*
 * A pod: a room with members, channels and the messages in them. This file has one pod and its
 * record in the store; pods.h has all of them.
 */
#define POD_ID_LEN	    36 /* "pod:" and 32 hexadecimal digits */
#define POD_SCOPE_LEN	    32
#define POD_NAME_LEN_MAX    64
#define POD_CHANNEL_LEN_MAX 50 /* [a-z0-9_-] */
#define POD_TAG_LEN_MAX	    32
#define POD_MEMBER_MAX	    50
#define POD_CHANNEL_MAX	    50
#define POD_TAG_MAX	    20
#define POD_BODY_LEN_MAX    4096
#define POD_MESSAGE_ID_LEN  32 /* hexadecimal digits */
#define POD_SIGNATURE_LEN   64
#define POD_RECORD_LEN_MAX  16384
#define POD_DAYS_MAX	    3650

enum pod_visibility {
	POD_LISTED,   /* in every node's list, and open to all */
	POD_UNLISTED, /* open to every node that knows its id */
	POD_PRIVATE,  /* its members were admitted; to others it does not exist */
	POD_VISIBILITY_CNT,
};
enum pod_kind { POD_GENERAL, POD_CUSTOM, POD_BOUND, POD_DM, POD_KIND_CNT }; /* of a channel */
enum pod_role { POD_MEMBER, POD_MOD, POD_OWNER, POD_ROLE_CNT };

/* Texts of them, as JSON has them. */
extern const char *const builtin_pod_visibilities[POD_VISIBILITY_CNT];
extern const char *const builtin_pod_kinds[POD_KIND_CNT];
extern const char *const builtin_pod_roles[POD_ROLE_CNT];
/* builtin_pod_word: the place of text among cnt words, or -1. */
int builtin_pod_word(const char *const *words, int cnt, const char *text);

struct pod_channel {
	char name[POD_CHANNEL_LEN_MAX + 1];
	uint8_t kind;
};
struct pod_member {
	uint8_t key[MESH_KEY_LEN];
	uint8_t role;
	bool has_signing_key;
	uint8_t signing_key[MESH_KEY_LEN]; /* Ed25519; the member's messages must be signed by it */
};

struct pod {
	char id[POD_ID_LEN + 1];
	char name[POD_NAME_LEN_MAX + 1];
	uint8_t visibility;
	uint16_t days; /* that a message is kept; 0: as long as the node runs, and not on disk */
	uint8_t tag_cnt, channel_cnt, member_cnt;
	char tags[POD_TAG_MAX][POD_TAG_LEN_MAX + 1];
	struct pod_channel channels[POD_CHANNEL_MAX];
	struct pod_member members[POD_MEMBER_MAX];
	struct list_node messages; /* struct pod_message by sequence */
	unsigned message_cnt;
	uint64_t last_sequence;
	bool is_forming;  /* it is being added: no lookup finds it */
	bool is_changing; /* a change is on its way to the disk */
};

/*
 * sequence orders the messages of a pod: milliseconds since 1970 when it
 * came, or one more than the one before.
 */
struct pod_message {
	struct list_node node;
	struct pods *pods;
	struct pod *pod; /* NULL: it was dropped while it was being written */
	uint64_t sequence;
	uint64_t at_ms; /* as its sender says */
	bool is_kept;	/* as well as its pod keeps messages; until then it is not shown */
	bool is_told;	/* to its listeners */
	bool is_signed;
	uint8_t sender[MESH_KEY_LEN];
	uint8_t signature[POD_SIGNATURE_LEN];
	char id[POD_MESSAGE_ID_LEN + 1];
	char channel[POD_CHANNEL_LEN_MAX + 1];
	uint32_t body_len;
	const char *body; /* UTF-8, without NUL; of one that a pod has, behind it */
};

/*
 * builtin_pod_id_of names a room within a scope: the id of a community or group, or the key of
 * the room's node. builtin_pod_id_of_conversation names that of two peers, in either order.
 */
void builtin_pod_id_of(const uint8_t scope[POD_SCOPE_LEN], const char *name,
		       char out_id[POD_ID_LEN + 1]);
void builtin_pod_id_of_conversation(const uint8_t a[MESH_KEY_LEN], const uint8_t b[MESH_KEY_LEN],
				    char out_id[POD_ID_LEN + 1]);

/* builtin_pod_text_is_name: 1 to len_max bytes of text without control characters. */
bool builtin_pod_text_is_name(const char *text, size_t len_max);
bool builtin_pod_text_is_channel(const char *text);

struct pod_member *builtin_pod_find_member(struct pod *pod, const uint8_t key[MESH_KEY_LEN]);
const struct pod_channel *builtin_pod_find_channel(const struct pod *pod, const char *name);
/* builtin_pod_add_{member,channel,tag}: 0, WEFT_EEXISTS, WEFT_EFULL; texts are valid. */
WEFT_MUST_CHECK
int builtin_pod_add_member(struct pod *pod, const uint8_t key[MESH_KEY_LEN], enum pod_role role);
WEFT_MUST_CHECK
int builtin_pod_add_channel(struct pod *pod, const char *name, enum pod_kind kind);
WEFT_MUST_CHECK
int builtin_pod_add_tag(struct pod *pod, const char *tag);
void builtin_pod_drop_member(struct pod *pod, struct pod_member *member);

/*
 * builtin_pod_message_signing_text writes the text that a signature covers:
 *	1|POD|CHANNEL|MESSAGE ID|SENDER|AT_MS|base64(SHA-256(BODY))
 * with each part as in JSON. Returns its length.
 */
#define POD_SIGNING_TEXT_CAP 288
size_t builtin_pod_message_signing_text(const char *pod_id, const struct pod_message *message,
					char out_text[POD_SIGNING_TEXT_CAP]);

/* Records. parse: 0 or WEFT_EMALFORMED; id and sequence are of the key, and not in them. */
void builtin_pod_write(const struct pod *pod, struct writer *w);
WEFT_MUST_CHECK
int builtin_pod_parse(struct pod *pod, const uint8_t *record, size_t len);
void builtin_pod_message_write(const struct pod_message *message, struct writer *w);
/* builtin_pod_message_parse: the body is borrowed of record. */
WEFT_MUST_CHECK
int builtin_pod_message_parse(struct pod_message *message, const uint8_t *record, size_t len);

#endif
