/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of people, their posts and their groups. */
#include "command/command.h"

/* clang-format off */
const struct command commands_of_people[] = {
{ "social", "status", "", "show what this node has of people, posts and groups", NULL,
	"weft social status", NULL, 0, 0, { { 0 } },
	.call = { API_SHOW_SOCIAL, .parts = { SHOW_FIELDS(show_social, social, social_state_show) } } },
{ "social", "open", "", "print an address at which a browser shows posts and people",
	"It can be opened once, within two minutes. The page may act as this node for eight hours, in that\n"
	"tab alone. The gateway must be on: gateway.enabled = yes in weft.conf.",
	"weft social open", NULL, 0, 0, { { 0 } },
	.call = { API_OPEN_PEOPLE_PAGE, .parts = { SHOW_LINE(open_people_page, url) } } },
{ "social", "close", "", "end what open pages of weft social open may do", NULL,
	"weft social close", NULL, 0, 0, { { 0 } },
	.call = { API_CLOSE_PAGES, .done = "No page may act as this node any more." } },
{ .table = commands_of_persons },
};
/* clang-format on */
