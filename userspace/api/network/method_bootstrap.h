/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_NETWORK_METHOD_BOOTSTRAP_H
#define WEFT_API_NETWORK_METHOD_BOOTSTRAP_H

#include "base/addr.h"
#include "codec/text/zbase32.h"
#include "locate/bootstrap_list.h"

struct control_call;

/* Shared by the calls about bootstrap lists. */

/* api_bootstrap_read reads a list as text. False: call was failed. */
bool api_bootstrap_read(struct control_call *call, const char *text,
			uint8_t bytes[static BOOTSTRAP_LEN_MAX], size_t *out_len,
			struct bootstrap_list *out_list);
/* api_bootstrap_entry writes "NODE@ADDRESS:PORT" or "ADDRESS:PORT"; returns text. */
#define METHOD_BOOTSTRAP_ENTRY_CAP (ZBASE32_KEY_TEXT_CAP + ADDR_TEXT_CAP)
char *api_bootstrap_entry(const struct bootstrap_entry *entry,
			  char text[static METHOD_BOOTSTRAP_ENTRY_CAP]);

#endif
