/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of event, produced once, follows the type that names it; no other can be told. */
#include "api/events/events.h"

#include "api/api.h"
#include "base/log.h"
#include "blobs/blobs.h"
#include "codec/text/zbase32.h"
#include "community/community.h"
#include "locate/locate.h"
#include "net/xdp/xdp.h"
#include "node/node_state.h"
#include "port_mapping/port_mapping.h"
#include "provider/provider.h"
#include "reachability/reachability.h"
#include "search/search.h"
#include "service/limits/abuse.h"
#include "service/service.h"
#include "shares/follow/follow.h"
#include "shares/publish/publish.h"
#include "support/check.h"
#include "support/method_rig.h"

#define ID "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyo"

static struct method_rig rig;
static struct api *api;
static const uint8_t key[32];
static uint64_t read_seq;
static bool is_seen[API_NODE_EVENT_CNT];

static void begin(void)
{
	method_rig_init(&rig, 33);
	method_rig_add(&rig);
	method_rig_add(&rig);
	method_rig_start(&rig);
	api = rig.node->node->api;
	read_seq = control_event_last(api->control);
}

static json_t *event_take(void)
{
	const char *text;
	size_t len;
	uint64_t seq = control_event_next(api->control, CONTROL_ADMIN, read_seq, &text, &len);

	if (!seq)
		return NULL;
	read_seq = seq;
	return json_loadb(text, len, 0, NULL);
}

static bool event_follows(const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "kind"));
	char field[VARLINK_FIELD_CAP] = "";

	for (size_t i = 0; i < API_NODE_EVENT_CNT; i++) {
		if (strcmp(api_node_events[i].name, kind) != 0)
			continue;
		is_seen[i] = true;
		if (varlink_check(api_node_events[i].type, json_object_get(event, "fields"), field))
			return true;
		break;
	}
	printf("# %s: \"%s\" is wrong, or no type names it\n", kind, field);
	return false;
}

/* All that was told since the last look; cnt of them, 0: any number. */
static bool events_follow(unsigned cnt)
{
	bool all_follow = true;
	unsigned seen_cnt = 0;
	json_t *event;

	while ((event = event_take()) != NULL) {
		seen_cnt++;
		all_follow = event_follows(event) && all_follow;
		json_decref(event);
	}
	if (cnt && seen_cnt != cnt)
		printf("# %u events were told, not %u\n", seen_cnt, cnt);
	return all_follow && (!cnt || seen_cnt == cnt);
}

static void content_events(void)
{
	static const struct blobs_import import = {.byte_cnt = 3, .byte_done_cnt = 2};

	for (unsigned i = 0; i < BLOBS_EVENT_CNT; i++) {
		struct blobs_event event = {.kind = (enum blobs_event_kind)i,
					    .id = i,
					    .manifest_id = key,
					    .peer_key = key,
					    .err = WEFT_EABSENT,
					    .text = "text",
					    .import = i ? NULL : &import};

		api_tell_content(api, &event);
	}
}

static void session_events(void)
{
	struct mesh_step step = {.name = "cache", .err = WEFT_EABSENT, .addr_cnt = 2};
	struct mesh_failure failure = {.is_dialler = true, .end = {.err = WEFT_ETIMEOUT}};
	struct mesh_peer_info peer = {.end = {.err = WEFT_ECLOSED}};

	api_tell_step(api, &step);
	api_tell_failure(api, &failure);
	api_tell_session(api, &peer, true);
	api_tell_session(api, &peer, false);
}

static void network_events(void)
{
	struct ban bans[] = {{.target = {.kind = BAN_KEY}},
			     {.target = {.kind = BAN_IPV4, .prefix_len = 32}}};
	char kind[40];

	for (unsigned i = LOCATE_DHT_JOINED; i <= LOCATE_DHT_PUBLISHED; i++)
		api_tell_dht(api, &(struct locate_event){.kind = (enum locate_event_kind)i});
	for (unsigned i = 0; i < REACHABILITY_KIND_CNT; i++)
		api_tell_reachability(
			api, &(struct reachability_view){.kind = (enum reachability_kind)i});
	for (unsigned i = 0; i < 2; i++) {
		api_tell_mapping(
			api, &(struct port_mapping_row){.port.transport = i ? ADDR_TCP : ADDR_UDP});
		api_tell_moved(api, key,
			       &(struct addr){.family = ADDR_IPV6,
					      .transport = i ? ADDR_RELAY : ADDR_UDP});
		api_tell_relay_flow(
			api, &(struct relay_end_event){.relay = key, .peer = key, .is_opener = i});
		api_tell_ban(api, INCIDENT_BANNED, &bans[i]);
		api_tell_ban(api, INCIDENT_BAN_REMOVED, &bans[i]);
		api_tell_ban(api, INCIDENT_BAN_ENDED, &bans[i]);
	}
	for (unsigned i = RELAY_END_EVENT_REOPENED; i < RELAY_END_EVENT_CNT; i++)
		api_tell_relay_flow(api,
				    &(struct relay_end_event){.kind = (enum relay_end_event_kind)i,
							      .relay = key,
							      .peer = key});
	for (unsigned i = 0; i < XDP_FAULT_CNT; i++) {
		snprintf(kind, sizeof(kind), "xdp.%s", net_xdp_fault_name((enum xdp_fault)i));
		api_tell_device(api, kind, "eth0", "text");
	}
	api_tell_relay_role(api, &(struct relay_role){.why = RELAY_ROLE_ENOUGH, .is_relay = true});
	api_tell_device(api, "xdp.attached", "eth0", "text");
	api_tell_device(api, "xdp.detached", "eth0", "text");
	api_tell_device(api, "xdp.unconfirmed", "eth0", "text");
	api_tell_device(api, "xdp.mode", "", "text");
}

static void service_events(void)
{
	struct service_offering offering = {.name = "echo", .version = "1.0.0"};

	api_tell_violation(api, key, "a rule", 1);
	for (unsigned i = 0; i < SERVICE_ABUSE_CNT; i++)
		api_tell_abuse(api, &(struct service_abuse_event){
					    .kind = (enum service_abuse_kind)i, .caller = key});
	for (unsigned i = SERVICE_EVENT_CIRCUIT_OPENED; i <= SERVICE_EVENT_CIRCUIT_AT_PEER; i++)
		api_tell_circuit(api, &(struct service_event){.kind = (enum service_event_kind)i,
							      .service_id = key});
	for (unsigned i = PROVIDER_EVENT_READY; i <= PROVIDER_EVENT_DROPPED; i++)
		api_tell_program(api, &(struct provider_event){.kind = (enum provider_event_kind)i,
							       .name = "echo",
							       .version = "1.0.0"});
	api_tell_unpublished(api, &offering);
}

static void share_events(void)
{
	static const struct publish_settings settings = {.name = "music"};
	const struct published share = {.settings = &settings};
	const struct follow follow = {.name = "", .title = "", .fault = {.why = "no entry"}};

	for (unsigned i = PUBLISH_REVISED; i <= PUBLISH_WAS_REVOKED; i++)
		api_tell_publish(api, &(struct publish_event){.kind = (enum publish_event_kind)i,
							      .share = &share});
	for (unsigned i = WATCH_FAILED; i <= WATCH_OVERFLOW; i++)
		api_tell_watch(api, &(struct watch_notice){.kind = (enum watch_event_kind)i,
							   .share_id = key,
							   .err = WEFT_EFULL});
	for (unsigned i = FOLLOW_REVISION; i <= FOLLOW_BAD_BLOCKLIST; i++)
		api_tell_follow(api, &(struct follow_event){.kind = (enum follow_event_kind)i,
							    .follow = &follow,
							    .seq = 1,
							    .peer_key = key});
	for (unsigned i = SEARCH_INDEX_RESET; i <= SEARCH_SHARE_FAILED; i++)
		api_tell_search(api, &(struct search_event){.kind = (enum search_event_kind)i,
							    .share_id = i ? key : NULL,
							    .cut_cnt = i});
	for (unsigned i = COMMUNITY_JOINED; i <= COMMUNITY_KEY_TWICE; i++)
		api_tell_community(api,
				   &(struct community_event){.kind = (enum community_event_kind)i,
							     .id = key,
							     .key = i ? key : NULL});
}

static void reservation_events(void)
{
	static const struct reservation_record record = {.units = 1};
	const struct reservation_view view = {.id = key, .record = &record};

	for (unsigned i = RESERVATION_EVENT_ASKED; i < RESERVATION_EVENT_CNT; i++)
		api_tell_reservation(api, (enum reservation_event_kind)i, &view);
}

static void social_events(void)
{
	for (unsigned i = 0; i < SOCIAL_EVENT_CNT; i++)
		api_tell_social(api, &(struct social_event){.kind = (enum social_event_kind)i,
							    .person = key,
							    .post = key,
							    .text = "text"});
}

static void reputation_event(void)
{
	char parameters[256], id[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(node_key_public(rig.sim.nodes[1].key), NODE_KEY_LEN, id);
	snprintf(parameters, sizeof(parameters), "{'node_id':'%s','addresses':['10.0.0.1:7000']}",
		 id);
	CHECK_STR(method_ask(&rig, "ConnectPeer", parameters), "");
	(void)sim_run(&rig.sim, 5 * NS_PER_S, NULL, NULL);
	snprintf(parameters, sizeof(parameters), "{'node_id':'%s','reputation':70}", id);
	CHECK_STR(method_ask(&rig, "SetPeer", parameters), "");
}

static void test_each_kind_that_the_interface_names_follows_its_type(void)
{
	begin();
	content_events();
	CHECK(events_follow(BLOBS_EVENT_CNT));
	session_events();
	CHECK(events_follow(4));
	network_events();
	CHECK(events_follow(4 + REACHABILITY_KIND_CNT + 16 + XDP_FAULT_CNT + 4));
	service_events();
	CHECK(events_follow(1 + SERVICE_ABUSE_CNT + 2 + 5 + 1));
	share_events();
	CHECK(events_follow(5 + 3 + 8 + 3 + 7));
	reservation_events();
	CHECK(events_follow(RESERVATION_EVENT_CNT - 1));
	social_events();
	CHECK(events_follow(SOCIAL_EVENT_CNT));
	reputation_event();
	CHECK(events_follow(0));
	for (size_t i = 0; i < API_NODE_EVENT_CNT; i++) {
		if (!is_seen[i])
			printf("# %s was never told\n", api_node_events[i].name);
		CHECK(is_seen[i]);
	}
	method_rig_fini(&rig);
}

static void test_an_event_that_the_interface_does_not_name_is_refused(void)
{
	struct api_ban_event ban = {.peer = ID};

	begin();
	CHECK(!api_event_tell(api, "ban.doubled", &api_ban_event_type, &ban));
	CHECK(!api_event_tell(api, "", &api_ban_event_type, &ban));
	CHECK(!event_take());
	CHECK(api_event_tell(api, "ban.added", &api_ban_event_type, &ban));
	CHECK(events_follow(1));
	method_rig_fini(&rig);
}

static void test_an_event_of_another_type_than_its_kind_has_is_refused(void)
{
	struct api_ban_event ban = {.peer = ID};

	begin();
	CHECK(!api_event_tell(api, "dht.joined", &api_ban_event_type, &ban));
	CHECK(!event_take());
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_each_kind_that_the_interface_names_follows_its_type);
	RUN(test_an_event_that_the_interface_does_not_name_is_refused);
	RUN(test_an_event_of_another_type_than_its_kind_has_is_refused);
	return check_done();
}
