/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONFIG_WEB_CONFIG_H
#define WEFT_CONFIG_WEB_CONFIG_H

#include "base/addr.h"
#include "control/control.h"
#include "gateway/gateway.h"

/* The part of the configuration that the gateway and its routes use. */
#define WEB_NAMES_CAP  1024
#define WEB_FILE_CAP   1024
#define WEB_TOKEN_NAME "gateway.token" /* in the state folder, unless configured */

/* Callers of the pkarr relay: none, those of the rest of the gateway, or all. */
enum web_pkarr_use { WEB_PKARR_NO, WEB_PKARR_YES, WEB_PKARR_PUBLIC };

enum web_token_use { WEB_TOKEN_FOR_WRITES, WEB_TOKEN_ALWAYS };

struct web_config {
	struct gateway_config gateway;
	char listen[ADDR_TEXT_CAP]; /* becomes gateway.listen */
	bool is_exposed;	    /* other machines are meant to reach it */
	char hosts[WEB_NAMES_CAP];
	char origins[WEB_NAMES_CAP];
	char token_file[WEB_FILE_CAP]; /* "": made in the state folder */
	enum web_token_use token_use;
	enum control_role role; /* of callers with the token */
	bool serves_mesh;
	char services[WEB_NAMES_CAP]; /* NAME or NAME/METHOD */
	uint64_t body_len_max;	      /* of what goes to services */
	uint64_t body_log_len;	      /* of each, in the log */
	uint64_t timeout_ns;	      /* for a service's answer to begin */
	enum web_pkarr_use pkarr_use;
	uint32_t pkarr_cache_cap; /* packets */
};
void config_web_defaults(struct web_config *config);
/* config_web_fault: a sentence that says what cannot be, or NULL. */
const char *config_web_fault(const struct web_config *config);

#endif
