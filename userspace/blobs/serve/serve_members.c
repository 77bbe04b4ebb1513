/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other nodes that serve an id (498). Only of what the asker may read here: this node
 * lists no collections of others.
 */
#include <string.h>

#include "served_index.h"
#include "serve_state.h"
#include "blobs/blobs_state.h"
#include "blobs/serve/servers.h"
#include "store/store.h"

static bool id_is_here(struct serve *serve, const uint8_t *id, const struct served_reader *reader)
{
	struct store_snapshot *snapshot;
	bool is_here;

	if (blobs_served_index_gives_manifest(blobs_served_index(serve->content), id, reader) ||
	    blobs_serve_in_progress_find(serve, id, reader))
		return true;
	if (store_snapshot_open(serve->content->params.store, &snapshot) < 0)
		return false;
	is_here = blobs_serve_has_content(serve, snapshot, id, reader, true);
	store_snapshot_close(snapshot);
	return is_here;
}

/* For other peers, an asker on the Internet counts as reachable at Internet addresses alone. */
static bool addr_is_credible(const struct addr *addr, const struct addr *from)
{
	if (!addr_is_unicast(addr) || addr->port == 0 || addr_is_link_local(addr))
		return false;
	if (addr_is_loopback(addr))
		return addr_is_loopback(from);
	return addr_is_global(addr) || !addr_is_global(from);
}

static void addr_add(struct blobs_member *member, const struct addr *addr)
{
	if (member->addr_cnt == MESH_PEER_ADDRS_MAX || !addr_is_credible(addr, &member->from))
		return;
	for (unsigned i = 0; i < member->addr_cnt; i++)
		if (addr_equal(&member->addrs[i], addr))
			return;
	member->addrs[member->addr_cnt++] = *addr;
}

static void asker_note(struct serve *serve, const struct mesh_call *asked,
		       const struct message_holders_request *request, uint64_t now_ns)
{
	const struct blobs_params *params = &serve->content->params;
	struct blobs_member member = {.addr_cnt = 0};

	memcpy(member.id, request->id, sizeof(member.id));
	memcpy(member.key, asked->peer_key, sizeof(member.key));
	serve_mesh(serve)->asker_addr(asked->incoming, &member.from);
	/*
	 * The asker's source address is its address: all its datagrams come from one port. Any
	 * other announced address may be a victim's, which all askers here would dial.
	 */
	addr_add(&member, &member.from);
	blobs_members_note(&serve->members, &member, now_ns);
	if (serve->content->is_server)
		blobs_server_report_member(serve->content, &member);
	else if (params->on_member)
		params->on_member(params->ctx, &member);
}

void blobs_serve_members_start(struct serve_call *call)
{
	struct message_holder told[HOLDERS_MAX];
	struct members *members = &call->serve->members;
	struct writer w;

	if (!blobs_serve_call_acquire_buffer(call))
		return;
	w = writer_of(call->buffer, HOLDERS_ANSWER_CAP);
	blobs_message_holders_write(
		&w, told, blobs_members_list(members, call->request.id, call->peer_key, told));
	blobs_serve_call_send(call, MESH_HOLDERS, NULL, 0, writer_len(&w));
}

void blobs_serve_members_asked(void *ctx, const struct mesh_call *asked, uint64_t now_ns)
{
	struct serve *serve = ctx;
	struct message_holders_request request;
	struct serve_name name = {.is_blind = false};
	struct served_reader reader;
	struct serve_call *call;

	serve->now_ns = now_ns;
	if (blobs_message_holders_request_parse(asked->payload, asked->payload_len, &request) < 0) {
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_MALFORMED, "malformed",
						0);
		return;
	}
	if (request.is_blind)
		blobs_serve_unblind(serve, request.id, request.veiled, &name);
	reader = blobs_serve_reader(serve, asked->peer_key, &name);
	if (!id_is_here(serve, request.id, &reader)) {
		serve_mesh(serve)->answer_error(asked->incoming, MESH_CODE_ABSENT,
						"no such content here", 0);
		return;
	}
	if (request.is_serving)
		asker_note(serve, asked, &request, now_ns);
	blobs_members_expire(&serve->members, now_ns);
	call = blobs_serve_call_new(serve, asked);
	if (!call)
		return;
	memcpy(call->request.id, request.id, sizeof(call->request.id));
	blobs_serve_members_start(call);
}
