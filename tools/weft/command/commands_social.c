/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of people, their posts and their groups. */
#include "command/command.h"

/* clang-format off */
const struct command commands_of_people[] = {
{ "social", "status", "", "show the key under which your posts are written", NULL,
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
{ "post", "revoke", "PERSON", "take posts from a reader, or show with --plan what that costs",
	"Without --post and --circle: all posts of this node that PERSON reads. wrap leaves a post and shuts\n"
	"its header, which is enough for a reader that never had it. seal puts another post in its place.\n"
	"A reader keeps what it has read: docs/social.md says what a removed reader can still open.",
	"weft post revoke PERSON --circle family --plan", run_post_revoke, 1, 1,
	{ { "post", "ID", "that post alone" },
	  { "circle", "NAME", "posts that members of the circle alone read" },
	  { "way", "WAY", "advised, the default, wrap or seal" },
	  { "next", "PLACE", "of a long plan: go on there" },
	  { "plan", NULL, "show for each post what it costs, and whether PERSON fetched it; change nothing" } },
	.call = { API_REVOKE_READER, .takes = { TAKE(revoke_reader, person) },
	  .parts = { SHOW_FIELDS(revoke_reader, revocation, revocation_show) } } },
{ "post", "prove", "PERSON ID", "print what shows that a person was taken off a post",
	"It is a map in CBOR, as base64: the deletion of the post, if it was sealed anew, and its readers\n"
	"since. Both are signed by the author.",
	"weft post prove PERSON ID", NULL, 2, 2, { { 0 } },
	.call = { API_PROVE_REVOCATION, .takes = { TAKE(prove_revocation, person), TAKE(prove_revocation, post) },
	  .parts = { SHOW_LINE(prove_revocation, proof) } } },
{ "replica", "show", "ID", "show which nodes have copies of a post", NULL,
	"weft replica show ID", NULL, 1, 1, { { 0 } },
	.call = { API_SHOW_REPLICAS, .takes = { TAKE(show_replicas, post) },
	  .parts = { SHOW_FIELDS(show_replicas, replica, replica_state_show),
		     SHOW_PART("holder", show_replicas, holders, replica_holder_list) } } },
{ "quota", "show", "", "show the bytes of posts, by share, and the room for others", NULL,
	"weft quota show", NULL, 0, 0, { { 0 } },
	.call = { API_SHOW_SOCIAL_QUOTA, .parts = { SHOW_FIELDS(show_social_quota, quota, social_quota_show) } } },
{ "social", "sync", "NODE", "ask a person's node now for what is new",
	"It is done by itself each social.sync_every, and when a post is written. A session with the node is\n"
	"needed. With --author it is any node, which hears nothing of this node's follows.",
	"weft social sync tkrq8zmwb8a3m9k15csu3q17qmfgqnp9dskbrg9uq1rydpyxp7qy", NULL, 1, 1,
	{ { "author", "PERSON", "public posts of this person alone" } },
	.call = { API_SYNC_PERSON, .takes = { TAKE(sync_person, node_id) },
	  .parts = { SHOW_FIELDS(sync_person, sync, person_sync_show) } } },
{ .table = commands_of_posts },
};
/* clang-format on */
