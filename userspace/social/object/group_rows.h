/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_GROUP_ROWS_H
#define WEFT_SOCIAL_OBJECT_GROUP_ROWS_H

#include "codec/cbor_fields.h"

/* A row [member 32, standing] of struct group_member, for states and for what changes in them. */
extern const struct cbor_table social_group_member_table;

#endif
