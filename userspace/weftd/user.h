/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WEFTD_USER_H
#define WEFT_WEFTD_USER_H

#include "weft/err.h"

struct node_config;

/*
 * weftd_user_become makes the process node.user's, where that is set: its uid,
 * gid and groups. It keeps the capabilities that attaching XDP takes, and no
 * other is in the bounding set. Folders that are missing are made for the
 * user; a state folder that is another's is refused. Unset: nothing changes,
 * and root is warned.
 *
 * Returns: 0, or a negative code with the whole sentence for the user in
 * message, next step included.
 * Context: main thread, before any other, once.
 */
#define USER_MESSAGE_CAP 3072
WEFT_MUST_CHECK
int weftd_user_become(const struct node_config *config, char message[static USER_MESSAGE_CAP]);

#endif
