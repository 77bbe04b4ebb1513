/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONFIG_CONFIG_H
#define WEFT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "blobs/blobs.h"
#include "control/control.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "config/fabric_config.h"
#include "config/sharing_config.h"
#include "worker/fastpath/fastpath.h"
#include "locate/mainline.h"
#include "locate/pkarr_client.h"
#include "locate/address_record.h"
#include "locate/signaling.h"
#include "port_mapping/port_mapping.h"
#include "deposits/deposits.h"
#include "offers/service_offers.h"
#include "social/social.h"
#include "punch/punch.h"
#include "reachability/reachability.h"
#include "config/web_config.h"
#include "quic/quic.h"
#include "relay/broker/relay_broker.h"
#include "relay/messages/relay_messages.h"
#include "relay/end/relay_end.h"
#include "relay/pool/relay_pool.h"
#include "relay/receipts/relay_receipts.h"
#include "relay/relay.h"
#include "relay/slots/relay_slots.h"
#include "relay/trust/relay_trust.h"
#include "relay/web/web.h"
#include "relay/web_end/web_end.h"
#include "tcp/tcp.h"
#include "store/store.h"
#include "weft/err.h"

/*
 * The configuration of a daemon: modules' own sections, handed to them in
 * pieces, and what only node/ and weftd/ need. One table of keys (config_table.c)
 * reads it, prints it, compares it and writes the list in weft.conf(5).
 *
 * Order of authority: built-in defaults (the modules' own), the file,
 * FILE.d/[*].conf in order of name, the command line. It is made once at
 * start and const from then on; what a reload changes lives in origin.
 */
#define CONFIG_PATH_CAP	  1024
#define CONFIG_SOCKET_CAP 108 /* sizeof sun_path */
#define CONFIG_NAME_CAP	  64
#define CONFIG_ADDRS_MAX  8

struct config_origin;

struct node_config {
	char state_dir[CONFIG_PATH_CAP];
	char key_file[CONFIG_PATH_CAP];	       /* "": node.key, a credential or in state_dir */
	char passphrase_file[CONFIG_PATH_CAP]; /* "": the key file is not sealed */
	char proxy_user_file
		[CONFIG_PATH_CAP];  /* "": tcp.proxy wants no user, or a credential has it */
	char user[CONFIG_NAME_CAP]; /* "": do not change it */
	bool is_sandboxed;
	bool keeps_core;      /* may be traced and dumped by its own user */
	int log_level;	      /* enum log_level */
	unsigned worker_cnt;  /* threads that carry packets */
	unsigned job_threads; /* for disks, of each */
	uint32_t job_cap;
	uint64_t drain_timeout_ns;
	struct addr advertise[CONFIG_ADDRS_MAX]; /* what links and HELLO carry; none: found out */
	unsigned advertise_cnt;
	char control_path[CONFIG_SOCKET_CAP];
	char operate_group[CONFIG_NAME_CAP];
	char view_group[CONFIG_NAME_CAP];

	struct udp_config udp;
	struct quic_config quic;
	struct tcp_config tcp;
	struct mesh_config mesh;
	struct store_config store;     /* dir points to state_dir */
	struct control_config control; /* path points to control_path */
	struct blobs_config content;
	struct fastpath_config fastpath;
	struct mainline_config mainline;
	struct publish_config publish;
	struct pkarr_client_config pkarr_client;
	struct web_config web;
	struct signaling_config signaling;
	struct reachability_config reachability;
	struct port_mapping_config port_mapping;
	struct punch_config punch;
	struct service_offers_config offers;
	struct deposits_config deposits;
	struct social_config social;
	struct fabric_config fabric;
	struct sharing_config sharing;
	struct relay_config relay;
	struct relay_broker_config relay_broker;
	struct relay_messages_config relay_messages;
	char relay_operator[CONFIG_NAME_CAP]; /* a key as text; "": no grant is honoured */
	char relay_pool[RELAY_POOL_TEXT_CAP]; /* "": it has no other relay */
	struct relay_trust_config relay_trust;
	struct relay_end_config relay_end;
	struct relay_receipts_config relay_receipts;
	struct relay_slots_config relay_slots;
	char relay_grants[CONFIG_PATH_CAP]; /* "": this node shows no grants */
	struct relay_web_config relay_web;
	struct relay_web_end_config relay_web_end;

	struct config_origin *origin;
};

/* One assignment of the command line, "quic.conn_cap" to "100". */
struct config_override {
	const char *section;
	const char *key;
	const char *value;
	bool is_appended; /* to the list an earlier override began */
};

struct config_ask {
	const char *file; /* NULL: /etc/weft/weft.conf, which may be absent */
	const struct config_override *overrides;
	unsigned override_cnt;
};
#define CONFIG_FILE_DEFAULT "/etc/weft/weft.conf"

/*
 * config_load reads and checks everything. On failure message says which
 * file and line, what is wrong, and the nearest name of an unknown one.
 * Returns 0, WEFT_EUNKNOWN, WEFT_EMALFORMED, WEFT_ETOOLARGE or -errno.
 * Owns: config_free. ask is copied.
 */
#define CONFIG_MESSAGE_CAP 1536
WEFT_MUST_CHECK
int config_load(const struct config_ask *ask, struct node_config **out_config,
		char message[static CONFIG_MESSAGE_CAP]);
void config_free(struct node_config *config);

struct config_setting {
	const char *section;
	const char *key;
	const char *value;
	const char *source; /* "default", "command line", "FILE:LINE" */
	const char *doc;
	const char *pending; /* what a restart would make of it, if that differs; else NULL */
	bool is_live;	     /* a reload applies it */
};
/*
 * A config_iter walks the settings, each with its value as it would be written; false: behind the
 * last. The value is the iterator's until its next call. A reload may not happen meanwhile.
 */
#define CONFIG_VALUE_CAP 4200 /* a path, 8 addresses, or ids of some 75 nodes */
struct config_iter {
	const struct node_config *config;
	unsigned idx; /* of the next */
	char value[CONFIG_VALUE_CAP];
};
bool config_next(struct config_iter *iter, struct config_setting *out_setting);

/*
 * config_reload reads everything again and reports each setting that differs
 * from the one in force. It is now live (is_applied) or waits for a restart.
 * On failure nothing changes, message says why. Handing what is live to the
 * modules is node_reload's.
 */
struct config_change {
	const char *name; /* "log.level" */
	const char *before, *after;
	bool is_applied;
};
typedef void (*config_change_fn)(void *arg, const struct config_change *change);
WEFT_MUST_CHECK
int config_reload(const struct node_config *config, config_change_fn changed, void *arg,
		  char message[static CONFIG_MESSAGE_CAP]);
/*
 * config_set writes the setting called name ("log.level") into config and
 * nothing else: to try something, on a copy. Errors as config_load's; why says
 * what is wrong, and not of which setting.
 */
#define CONFIG_WHY_CAP 320
WEFT_MUST_CHECK
int config_set(struct node_config *config, const char *name, const char *value,
	       char why[static CONFIG_WHY_CAP]);
/* config_live: config with what reloads changed. */
const struct node_config *config_live(const struct node_config *config);

/* config_print writes INI that config_load reads to the same configuration. */
void config_print(const struct node_config *config, FILE *out);
/* config_print_reference writes the key list for weft.conf(5), in roff. */
void config_print_reference(FILE *out);

#endif
