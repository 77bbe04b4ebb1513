/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs_parts.h"

#include "blobs_state.h"

struct shares *blobs_shares_of(const struct blobs *content)
{
	return content->shares;
}

struct serve *blobs_serve_of(const struct blobs *content)
{
	return content->serve;
}

struct swarms *blobs_swarms_of(const struct blobs *content)
{
	return content->swarms;
}

struct store *blobs_store_of(const struct blobs *content)
{
	return content->params.store;
}

const struct blobs_retainer *blobs_holder_at(const struct blobs *content, unsigned idx)
{
	return idx < content->holder_cnt ? &content->holders[idx] : NULL;
}
