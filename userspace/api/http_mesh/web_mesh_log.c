/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies that clients of the gateway send to services, in the log, where gateway.log_bodies says
 * so: to find the faults of a program. Bodies of /api are in no log. Home worker.
 */
#include "base/log.h"
#include "web_mesh.h"

#define LINE_LEN 160 /* bytes of a body */

static size_t line_log(const struct web_mesh_run *run, const uint8_t *data, size_t len)
{
	char text[LINE_LEN + 1];
	size_t at = 0;

	for (; at < len && at < LINE_LEN; at++)
		text[at] = data[at] >= 0x20 && data[at] < 0x7f ? (char)data[at] : '?';
	text[at] = '\0';
	log_notice("body: service=%s at=%zu: %s", run->target.service.name, run->logged_len, text);
	return at;
}

void api_http_mesh_body_log(struct web_mesh_run *run, const struct gateway_piece *piece)
{
	size_t left = run->mesh->params.body_log_len - run->logged_len;
	size_t len = piece->len < left ? piece->len : left;

	for (size_t at = 0, logged; at < len; at += logged) {
		logged = line_log(run, piece->data + at, len - at);
		run->logged_len += logged;
	}
}
