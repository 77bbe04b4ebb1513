/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_H
#define WEFT_API_HTTP_WEB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "control/control.h"
#include "gateway/gateway.h"
#include "weft/err.h"

struct node;

/*
 * What this node serves over HTTP: which routes the gateway has, and how
 * they reach the rest of the node. Off until somebody turns it on. Home
 * worker only. docs/gateway.md is for who uses it.
 */
#define WEB_NAMES_CAP  1024
#define WEB_FILE_CAP   1024
#define WEB_TOKEN_NAME "gateway.token" /* in the state folder, unless configured */

/* Who may use the pkarr relay: nobody, whom the rest of the gateway lets in, or everybody. */
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
	enum control_role role; /* of who shows the token */
	bool serves_mesh;
	char services[WEB_NAMES_CAP]; /* NAME or NAME/METHOD */
	uint64_t body_len_max;	      /* of what goes to services */
	uint64_t body_log_len;	      /* of each, in the log */
	uint64_t timeout_ns;	      /* for a service's answer to begin */
	enum web_pkarr_use pkarr_use;
	uint32_t pkarr_cache_cap; /* packets */
};
void api_http_config_defaults(struct web_config *config);
/* api_http_config_fault: a sentence that says what cannot be, or NULL. */
const char *api_http_config_fault(const struct web_config *config);
/* api_http_footprint: bytes laid out; 0 when it is off. */
size_t api_http_footprint(const struct web_config *config);

struct web;

/* api_http_open: 0 with node's web set unless it is off, or a negative code with what naming the object. */
WEFT_MUST_CHECK
int api_http_open(struct node *node, char *what);
/* api_http_adopt gives the gateway fd, which is taken, as if remote had connected; web is not NULL. */
void api_http_adopt(struct web *web, int fd, const struct addr *remote, uint64_t now_ns);
/*
 * api_http_pass_issue writes an address for a browser: gateway_pass_issue for the service that name says,
 * NAME or NAME@NODE. WEFT_EREFUSED: services have no hosts here, also for NULL; WEFT_EABSENT: it is none of
 * gateway.services; WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int api_http_pass_issue(struct web *web, const char *name, uint64_t now_ns,
			char out_url[static GATEWAY_PASS_URL_CAP]);
/* api_http_close takes NULL; before services, the DHT and the control socket go. */
void api_http_close(struct web *web);
/* api_http_stats writes nothing when it is off. */
void api_http_stats(const struct web *web, struct gateway_stats *out_stats);
/* api_http_places: false when it is off. */
struct fair_view;
bool api_http_places(const struct web *web, struct fair_view *out);
/* api_http_sockets: of WebSockets; false when there are none. */
bool api_http_sockets(const struct web *web, struct fair_view *out);

#endif
