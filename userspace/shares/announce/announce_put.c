/* SPDX-License-Identifier: Apache-2.0 */
/* Signs announcements and puts them into the overlay: so many a minute, evenly. */
#include <string.h>

#include "base/monotonic.h"
#include "announce_state.h"
#include "store/store.h"

#define NS_PER_MIN (60 * NS_PER_S)

bool shares_announce_can_put(const struct announce *announce)
{
	for (unsigned i = 0; i < ANNOUNCE_PUTS_OUT_MAX; i++)
		if (!announce->puts[i].run)
			return true;
	return false;
}

/* Later than the one before, and than the last change. */
static uint64_t time_after(const struct announce *announce, uint64_t announced_s)
{
	uint64_t wall_s = shares_announce_wall_s(announce), time_s = wall_s;

	if (announced_s >= wall_s && announced_s < wall_s + HOLDER_RECORD_SKEW_S)
		time_s = announced_s + 1;
	return announce->changed_s > time_s ? announce->changed_s : time_s;
}

static void put_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct announce_put *put = arg;
	struct announce *announce = put->announce;
	int err = result->err;

	put->run = NULL;
	announce->stats.request_cnt += result->asked_cnt;
	announce->stats.stored_cnt += result->stored_cnt;
	if (err == 0 && result->stored_cnt == 0)
		err = WEFT_EREFUSED;
	announce->is_lonely |= result->stored_cnt == 1;
	shares_announce_put_done(announce, &put->row, err, now_ns);
}

/* value begins with its tag. */
static int put_begin(struct announce *announce, const struct announce_log_row *row,
		     const struct writer *value, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &announce->params.overlay;
	struct announce_put *put = announce->puts;
	uint8_t name[ANNOUNCE_NAME_CAP];
	size_t name_len = row->kind == ANNOUNCE_LOG_REGION
				  ? shares_announce_name_of_region(row->depth, row->region, name)
				  : shares_announce_name_of_id((enum announce_tag)value->start[0],
							       row->id, name);
	int err;

	while (put->run)
		put++;
	put->announce = announce;
	put->row = *row;
	announce->has_put_bare |= !announce->places.via_cnt;
	err = overlay->ops->put(overlay->overlay,
				&(struct overlay_put_params){
					.value = {name, name_len, value->start, writer_len(value)},
					.done = put_done,
					.arg = put},
				now_ns, &put->run);
	if (err < 0) {
		put->run = NULL;
		return err;
	}
	announce->put_at_ns = now_ns + NS_PER_MIN / announce->params.config.puts_per_min;
	announce->stats.put_cnt++;
	announce->stats.put_len += writer_len(value);
	return 0;
}

int shares_announce_put_record(struct announce *announce, enum announce_tag tag,
			       const uint8_t id[static 32], uint64_t announced_s, uint64_t now_ns)
{
	uint8_t bytes[1 + HOLDER_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct holder holder = {
		.places = announce->places,
		.time_s = time_after(announce, announced_s),
	};
	struct announce_log_row row = {
		.kind = tag == ANNOUNCE_MANIFEST ? ANNOUNCE_LOG_MANIFEST : ANNOUNCE_LOG_CONTENT,
		.time_s = holder.time_s,
	};

	memcpy(holder.id, id, sizeof(holder.id));
	memcpy(row.id, id, sizeof(row.id));
	writer_u8(&w, (uint8_t)tag);
	shares_holder_record_write(&w, announce->params.key, &holder);
	return put_begin(announce, &row, &w, now_ns);
}

int shares_announce_put_set(struct announce *announce, const struct announce_job *listed,
			    uint64_t announced_s, uint64_t now_ns)
{
	uint8_t bytes[1 + GOLOMB_SET_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct golomb_set set = {
		.places = announce->places,
		.time_s = time_after(announce, announced_s),
		.depth = listed->depth,
		.region = listed->region,
		.item_cnt = listed->id_cnt,
		.parameter = GOLOMB_SET_PARAMETER,
		.code = listed->code,
		.code_len = listed->code_len,
	};
	struct announce_log_row row = {
		.kind = ANNOUNCE_LOG_REGION,
		.depth = listed->depth,
		.region = listed->region,
		.time_s = set.time_s,
		.print = listed->print,
	};

	writer_u8(&w, ANNOUNCE_SET);
	shares_golomb_set_write(&w, announce->params.key, &set);
	return put_begin(announce, &row, &w, now_ns);
}

void shares_announce_puts_stop(struct announce *announce)
{
	for (unsigned i = 0; i < ANNOUNCE_PUTS_OUT_MAX; i++) {
		if (announce->puts[i].run)
			announce->params.overlay.ops->cancel(announce->puts[i].run);
		announce->puts[i].run = NULL;
	}
}
