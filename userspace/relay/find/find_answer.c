/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being asked which relays there are. The list has this node itself, if it is a relay, and relays that
 * have served it. It is made anew every ten seconds. Askers on this site share one, and so do those on
 * the Internet, which get no relay with private addresses alone. So askers that do not read hold a few
 * lists between them, and no memory for each.
 */
#include "base/monotonic.h"
#include "kad/kad_contact.h"
#include "relay_find_state.h"

#define ASKS_PER_MIN  6u
#define ASKER_CAP     1024u
#define PAGE_NS	      (10 * NS_PER_S)
#define BUSY_WAIT_MS  2000u
#define LIST_DRAW_MAX 64u

int relay_find_answer_init(struct relay_find *find, const uint64_t secret[2])
{
	return request_quota_init(&find->answer.quota, &find->arena, ASKER_CAP, ASKS_PER_MIN,
				  secret);
}

static bool is_for(const struct relay_announcement *announcement, unsigned reach)
{
	for (unsigned i = 0; i < announcement->addr_cnt; i++)
		if (!reach || kad_addr_scope_of(&announcement->addrs[i]) == KAD_ADDR_SCOPE_GLOBAL)
			return true;
	return false;
}

static unsigned list_fill(struct relay_find *find, unsigned reach, uint64_t now_ns,
			  struct relay_listed listed[static RELAY_LIST_MAX])
{
	const struct relay_known_row *rows[LIST_DRAW_MAX];
	const struct find_publish *publish = &find->publish;
	unsigned cnt = 0, row_cnt;

	if (publish->len && is_for(&publish->announcement, reach))
		listed[cnt++] = (struct relay_listed){publish->value + 1, publish->len - 1};
	row_cnt =
		relay_known_draw(find->known, &(struct relay_want){0}, now_ns, rows, LIST_DRAW_MAX);
	for (unsigned i = 0; i < row_cnt && cnt < RELAY_LIST_MAX; i++)
		if (relay_known_is_live(rows[i]) && is_for(&rows[i]->announcement, reach))
			listed[cnt++] = (struct relay_listed){rows[i]->bytes, rows[i]->len};
	return cnt;
}

static struct find_page *page_acquire(struct find_answer *answer)
{
	for (unsigned i = 0; i < FIND_PAGE_CNT; i++)
		if (!answer->pages[i].use_cnt)
			return &answer->pages[i];
	return NULL;
}

static void page_make(struct relay_find *find, unsigned reach, uint64_t now_ns)
{
	struct find_page *page = page_acquire(&find->answer);
	struct find_page **newest = &find->answer.newest[reach];
	struct relay_listed listed[RELAY_LIST_MAX];
	struct writer w;

	if (!page)
		return;
	w = writer_of(page->bytes, sizeof(page->bytes));
	relay_list_write(&w, listed, list_fill(find, reach, now_ns, listed));
	page->len = writer_len(&w);
	page->made_ns = now_ns;
	page->use_cnt = 1;
	if (*newest)
		(*newest)->use_cnt--;
	*newest = page;
}

static void answer_done(void *arg)
{
	((struct find_page *)arg)->use_cnt--;
}

static void refuse(struct relay_find *find, const struct mesh_call *call, enum mesh_code code,
		   const char *text, uint64_t wait_ms)
{
	find->stats.refused_cnt++;
	find->params.mesh.ops->answer_error(call->incoming, code, text, wait_ms);
}

static void list_answer(struct relay_find *find, const struct mesh_call *call, uint64_t now_ns)
{
	struct mesh_neighbour asker = {0};
	struct find_page *page;
	struct transport_span span = {.done = answer_done};
	unsigned reach;

	(void)find->params.neighbours->find(find->params.mesh.mesh, call->peer_key, &asker);
	reach = kad_addr_scope_of(&asker.remote) == KAD_ADDR_SCOPE_GLOBAL;
	page = find->answer.newest[reach];
	if (!page || now_ns - page->made_ns >= PAGE_NS)
		page_make(find, reach, now_ns);
	page = find->answer.newest[reach];
	if (!page) {
		find->params.mesh.ops->hurry(find->params.mesh.mesh);
		refuse(find, call, MESH_CODE_BUSY, "no memory for a list of relays, ask later",
		       BUSY_WAIT_MS);
		return;
	}
	span.data = page->bytes;
	span.len = page->len;
	span.arg = page;
	page->use_cnt++;
	find->stats.answered_cnt++;
	if (find->params.mesh.ops->answer(call->incoming, MESH_RELAYS, NULL, 0, &span) < 0)
		answer_done(page);
}

void relay_find_on_ask(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_find *find = ctx;
	uint64_t wait_ms;
	unsigned wanted_cnt;

	if (!relay_messages_admit(find->params.messages, call, now_ns))
		return;
	wait_ms = request_quota_take(&find->answer.quota, call->peer_key, now_ns);
	if (wait_ms)
		refuse(find, call, MESH_CODE_REFUSED, "asked for relays six times in a minute",
		       wait_ms);
	else if (relay_list_ask_parse(call->payload, call->payload_len, &wanted_cnt) < 0)
		refuse(find, call, MESH_CODE_MALFORMED, "no request for a list of relays", 0);
	else
		list_answer(find, call, now_ns);
}
