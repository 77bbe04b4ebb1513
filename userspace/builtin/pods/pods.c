/* SPDX-License-Identifier: Apache-2.0 */
#include "pods.h"

#include "base/memory/heap.h"
#include "base/random.h"
#include "builtin/builtin.h"

#define DAY_MS		       (24 * 3600 * 1000ull)
#define KIND_POD	       'p' /* of a row's key, its first byte */
#define KIND_MESSAGE	       'm'
#define POD_KEY_LEN	       (1 + POD_ID_LEN)
#define MESSAGE_KEY_LEN	       (1 + POD_ID_LEN + 8)
#define MESSAGE_RECORD_LEN_MAX (POD_MESSAGE_ROW_LEN_MAX - MESSAGE_KEY_LEN)

/* A change on its way to the disk; it takes effect when it is there. */
struct pod_change {
	struct pods *pods;
	struct pod *pod;
	bool is_removal;
	struct pod draft; /* the pod's next state */
};

struct pod *builtin_pods_find(const struct pods *pods, const char *id)
{
	struct pod *pod = strlen(id) == POD_ID_LEN ? map_lookup(&pods->by_id, id) : NULL;

	return pod && !pod->is_forming ? pod : NULL;
}

struct pod *builtin_pods_next(const struct pods *pods, const struct pod *pod)
{
	struct pod *next = pool_next(&pods->pool, pod);

	while (next && next->is_forming)
		next = pool_next(&pods->pool, next);
	return next;
}

static int pod_place(struct pods *pods, const struct pod *draft, struct pod **out_pod)
{
	struct pod *pod;
	int err;

	if (map_lookup(&pods->by_id, draft->id))
		return WEFT_EEXISTS;
	pod = pool_acquire(&pods->pool);
	if (!pod)
		return WEFT_EFULL;
	*pod = *draft;
	list_init(&pod->messages);
	err = map_put(&pods->by_id, pod->id, pod);
	if (err < 0) {
		pool_release(&pods->pool, pod);
		return err;
	}
	*out_pod = pod;
	return 0;
}

static void pod_release(struct pods *pods, struct pod *pod)
{
	map_delete(&pods->by_id, pod->id);
	pool_release(&pods->pool, pod);
}

static void message_key(const struct pod *pod, uint64_t sequence, uint8_t out[MESSAGE_KEY_LEN])
{
	struct writer w = writer_of(out, MESSAGE_KEY_LEN);

	writer_u8(&w, KIND_MESSAGE);
	writer_bytes(&w, pod->id, POD_ID_LEN);
	writer_be64(&w, sequence);
}

static void pod_key(const struct pod *pod, uint8_t out[POD_KEY_LEN])
{
	out[0] = KIND_POD;
	memcpy(out + 1, pod->id, POD_ID_LEN);
}

static void message_link(struct pod *pod, struct pod_message *message)
{
	message->pod = pod;
	list_push_back(&pod->messages, &message->node);
	pod->message_cnt++;
	pod->last_sequence = message->sequence;
}

/* A message that comes meanwhile leaves a row, which the next load drops. */
static void pod_delete_messages(const struct pod *pod, struct provider_write *write)
{
	uint8_t key[MESSAGE_KEY_LEN];

	for (struct list_node *at = pod->messages.next; pod->days && at != &pod->messages;
	     at = at->next) {
		message_key(pod, container_of(at, struct pod_message, node)->sequence, key);
		provider_write_delete(write, key, sizeof(key));
	}
}

/* One that is being written is freed when that is over. */
static void message_drop(struct pods *pods, struct pod_message *message,
			 struct provider_write *write)
{
	struct pod *pod = message->pod;
	uint8_t key[MESSAGE_KEY_LEN];

	if (write && pod->days) {
		message_key(pod, message->sequence, key);
		provider_write_delete(write, key, sizeof(key));
	}
	list_unlink(&message->node);
	pod->message_cnt--;
	message->pod = NULL;
	if (message->is_kept)
		heap_release(pods->messages, message);
}

static struct pod_message *oldest(const struct pod *pod)
{
	return list_is_empty(&pod->messages)
		       ? NULL
		       : container_of(pod->messages.next, struct pod_message, node);
}

static uint64_t wall_ms(const struct pods *pods)
{
	return pods->clock->wall_ms(pods->clock->ctx);
}

static bool is_over(const struct pods *pods, const struct pod *pod,
		    const struct pod_message *message)
{
	return pod->days && message->sequence + pod->days * DAY_MS < wall_ms(pods);
}

static unsigned pod_sweep(struct pods *pods, struct pod *pod, unsigned message_max,
			  struct provider_write *write)
{
	struct pod_message *message;
	unsigned dropped_cnt = 0;

	while ((message = oldest(pod)) &&
	       (pod->message_cnt > message_max || is_over(pods, pod, message))) {
		message_drop(pods, message, write);
		dropped_cnt++;
	}
	return dropped_cnt;
}

/* A write for which no call waits. */
static const struct ack quiet;

void builtin_pods_sweep(struct pods *pods, uint64_t now_ns)
{
	struct provider_write *write = provider_write_new(pods->tenant);
	struct pod *pod = NULL;
	unsigned dropped_cnt = 0;

	while ((pod = builtin_pods_next(pods, pod)))
		dropped_cnt += pod_sweep(pods, pod, pods->message_max, write);
	if (dropped_cnt)
		builtin_acks_submit(pods->acks, write, &quiet, now_ns);
	else
		provider_write_free(write);
}

/* pod_take: the pod's fields become draft's; its messages stay. */
static void pod_take(struct pod *pod, const struct pod *draft)
{
	memcpy(pod->name, draft->name, sizeof(pod->name));
	pod->visibility = draft->visibility;
	pod->days = draft->days;
	pod->tag_cnt = draft->tag_cnt;
	pod->channel_cnt = draft->channel_cnt;
	pod->member_cnt = draft->member_cnt;
	memcpy(pod->tags, draft->tags, sizeof(pod->tags));
	memcpy(pod->channels, draft->channels, sizeof(pod->channels));
	memcpy(pod->members, draft->members, sizeof(pod->members));
	pod->is_forming = false;
}

static void change_done(void *arg, bool is_kept, uint64_t now_ns)
{
	struct pod_change *change = arg;
	struct pods *pods = change->pods;
	struct pod *pod = change->pod;

	(void)now_ns;
	pod->is_changing = false;
	if (is_kept && pods->on_changed)
		pods->on_changed(pods, pod, change->is_removal);
	if (is_kept && change->is_removal) {
		(void)pod_sweep(pods, pod, 0, NULL);
		pod_release(pods, pod);
	} else if (is_kept) {
		pod_take(pod, &change->draft);
	} else if (pod->is_forming) {
		pod_release(pods, pod);
	}
	pool_release(&pods->changes, change);
}

static struct pod_change *change_make(struct pods *pods, struct pod *pod)
{
	struct pod_change *change = pod->is_changing ? NULL : pool_acquire(&pods->changes);

	if (change) {
		*change = (struct pod_change){.pods = pods, .pod = pod};
		pod->is_changing = true;
	}
	return change;
}

static void change_submit(struct pod_change *change, struct provider_write *write,
			  const struct ack *ack, uint64_t now_ns)
{
	struct ack written = *ack;

	written.done = change_done;
	written.arg = change;
	builtin_acks_submit(change->pods->acks, write, &written, now_ns);
}

int builtin_pods_change(struct pods *pods, struct pod *pod, const struct pod *draft,
			const struct ack *ack, uint64_t now_ns)
{
	struct pod_change *change = change_make(pods, pod);
	uint8_t record[POD_RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));
	uint8_t key[POD_KEY_LEN];
	struct provider_write *write;

	if (!change)
		return WEFT_EBUSY;
	change->draft = *draft;
	write = provider_write_new(pods->tenant);
	builtin_pod_write(draft, &w);
	pod_key(draft, key);
	provider_write_put(write, key, sizeof(key), record, writer_len(&w));
	change_submit(change, write, ack, now_ns);
	return 0;
}

int builtin_pods_add(struct pods *pods, const struct pod *draft, const struct ack *ack,
		     uint64_t now_ns)
{
	struct pod *pod;
	int err = pod_place(pods, draft, &pod);

	if (err < 0)
		return err;
	pod->is_forming = true;
	err = builtin_pods_change(pods, pod, draft, ack, now_ns);
	if (err < 0)
		pod_release(pods, pod);
	return err;
}

int builtin_pods_remove(struct pods *pods, struct pod *pod, const struct ack *ack, uint64_t now_ns)
{
	struct pod_change *change = change_make(pods, pod);
	uint8_t key[POD_KEY_LEN];
	struct provider_write *write;

	if (!change)
		return WEFT_EBUSY;
	change->is_removal = true;
	write = provider_write_new(pods->tenant);
	pod_delete_messages(pod, write);
	pod_key(pod, key);
	provider_write_delete(write, key, sizeof(key));
	change_submit(change, write, ack, now_ns);
	return 0;
}

uint64_t builtin_pods_next_sequence(const struct pods *pods, const struct pod *pod)
{
	uint64_t now_ms = wall_ms(pods);

	return now_ms > pod->last_sequence ? now_ms : pod->last_sequence + 1;
}

static struct pod_message *message_copy(struct pods *pods, const struct pod_message *message)
{
	struct pod_message *copy = heap_alloc(pods->messages, sizeof(*copy) + message->body_len);

	if (!copy)
		return NULL;
	*copy = *message;
	copy->pods = pods;
	memcpy(copy + 1, message->body, message->body_len);
	copy->body = (const char *)(copy + 1);
	list_init(&copy->node);
	return copy;
}

/* A pod makes room by its own messages alone. */
static struct pod_message *message_place(struct pods *pods, struct pod *pod,
					 const struct pod_message *message,
					 struct provider_write *write)
{
	struct pod_message *copy = message_copy(pods, message);

	while (!copy && pod->message_cnt) {
		message_drop(pods, oldest(pod), write);
		copy = message_copy(pods, message);
	}
	return copy;
}

/* It was written, or cannot be; or its pod does not have it any more. */
static void message_done(void *arg, bool is_kept, uint64_t now_ns)
{
	struct pod_message *message = arg;

	(void)now_ns;
	message->is_kept = true;
	if (!message->pod)
		heap_release(message->pods->messages, message);
	else if (!is_kept)
		message_drop(message->pods, message, NULL);
	else if (message->pods->on_kept)
		message->pods->on_kept(message->pods, message->pod);
}

int builtin_pods_post(struct pods *pods, struct pod *pod, const struct pod_message *message,
		      const struct ack *ack, uint64_t now_ns)
{
	struct ack written = {.call = ack->call, .reply = ack->reply, .done = message_done};
	struct provider_write *write = provider_write_new(pods->tenant);
	uint8_t record[MESSAGE_RECORD_LEN_MAX], key[MESSAGE_KEY_LEN];
	struct writer w = writer_of(record, sizeof(record));
	struct pod_message *copy = message_place(pods, pod, message, write);

	if (!copy) {
		provider_write_free(write);
		return WEFT_EFULL;
	}
	message_link(pod, copy);
	pod_sweep(pods, pod, pods->message_max, write);
	if (pod->days) {
		message_key(pod, copy->sequence, key);
		builtin_pod_message_write(copy, &w);
		provider_write_put(write, key, sizeof(key), record, writer_len(&w));
	}
	written.arg = copy;
	builtin_acks_submit(pods->acks, write, &written, now_ns);
	return 0;
}

static int pod_load(struct pods *pods, const struct provider_row *row)
{
	struct pod pod = {.id = ""}, *placed;

	if (row->key_len != POD_KEY_LEN)
		return WEFT_EDAMAGED;
	memcpy(pod.id, row->key + 1, POD_ID_LEN);
	if (builtin_pod_parse(&pod, row->value, row->value_len) < 0)
		return WEFT_EDAMAGED;
	return pod_place(pods, &pod, &placed);
}

/* A message for which there is no pod or no room goes into dropped. */
static int message_load(struct pods *pods, const struct provider_row *row,
			struct provider_write *dropped, unsigned *io_dropped_cnt)
{
	struct pod_message message = {.is_kept = true, .is_told = true}, *copy;
	struct cursor key = cursor_of(row->key, row->key_len);
	const uint8_t *id;
	struct pod *pod;

	(void)cursor_u8(&key);
	id = cursor_bytes(&key, POD_ID_LEN);
	message.sequence = cursor_be64(&key);
	if (key.bad || cursor_left(&key))
		return WEFT_EDAMAGED;
	pod = map_lookup(&pods->by_id, id);
	if (builtin_pod_message_parse(&message, row->value, row->value_len) < 0)
		return WEFT_EDAMAGED;
	copy = pod ? message_place(pods, pod, &message, dropped) : NULL;
	if (copy) {
		message_link(pod, copy);
		return 0;
	}
	provider_write_delete(dropped, row->key, row->key_len);
	++*io_dropped_cnt;
	return 0;
}

/* Loads the rows of one kind. */
static int kind_load(struct pods *pods, char kind, struct provider_write *dropped,
		     unsigned *io_dropped_cnt)
{
	const struct provider_row_range range = {.prefix = &kind, .prefix_len = 1};
	struct provider_walk *walk = provider_walk_open(pods->tenant, &range);
	struct provider_row row;
	int err = 0, walk_err;

	while (err == 0 && provider_walk_next(walk, &row))
		err = kind == KIND_POD ? pod_load(pods, &row)
				       : message_load(pods, &row, dropped, io_dropped_cnt);
	walk_err = provider_walk_close(walk);
	return err < 0 ? err : walk_err;
}

static int pods_load(struct pods *pods, uint64_t now_ns)
{
	struct provider_write *dropped = provider_write_new(pods->tenant);
	unsigned dropped_cnt = 0;
	int err = kind_load(pods, KIND_POD, dropped, &dropped_cnt);

	if (err == 0)
		err = kind_load(pods, KIND_MESSAGE, dropped, &dropped_cnt);
	if (dropped_cnt)
		builtin_acks_submit(pods->acks, dropped, &quiet, now_ns);
	else
		provider_write_free(dropped);
	if (err < 0)
		return err;
	builtin_pods_sweep(pods, now_ns);
	return 0;
}

int builtin_pods_init(struct pods *pods, struct arena *arena, const struct builtin_params *params,
		      struct acks *acks, struct provider_tenant *tenant)
{
	const struct builtin_config *config = &params->config;
	uint64_t secret[2];
	int err;

	random_fill(params->random, secret, sizeof(secret));
	pods->acks = acks;
	pods->tenant = tenant;
	pods->clock = &params->clock;
	pods->message_max = config->pod_message_cnt;
	if ((err = heap_new(config->pod_memory_len, &pods->messages)) < 0 ||
	    (err = pool_init(&pods->pool, arena, sizeof(struct pod), config->pod_cnt)) < 0 ||
	    (err = pool_init(&pods->changes, arena, sizeof(struct pod_change), PODS_CHANGES_MAX)) <
		    0 ||
	    (err = map_init(&pods->by_id, arena, POD_ID_LEN, config->pod_cnt, secret)) < 0)
		return err;
	return pods_load(pods, params->now_ns);
}

void builtin_pods_fini(struct pods *pods)
{
	heap_free(pods->messages);
}
