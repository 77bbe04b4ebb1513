/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of people, their posts and their groups. */
#include "command/command.h"

/* clang-format off */
const struct command commands_of_people[] = {
{ "social", "status", "", "show what this node has of people, posts and groups", NULL,
	"weft social status", NULL, 0, 0, { { 0 } },
	.call = { API_SHOW_SOCIAL, .parts = { SHOW_FIELDS(show_social, social, social_state_show) } } },
{ .table = commands_of_node },
};
/* clang-format on */
