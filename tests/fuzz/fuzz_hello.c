/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "codec/peer_addr.h"
#include "mesh/session/hello.h"
#include "mesh/peers/peers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_hello(const uint8_t *data, size_t len)
{
	struct mesh_hello hello, again;
	uint8_t bytes[1200];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (mesh_hello_parse(data, len, &hello) < 0)
		return;
	mesh_hello_write(&w, &hello);
	weft_assert(!w.bad);
	weft_assert(mesh_hello_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(memcmp(&hello, &again, sizeof(hello)) == 0);
}

static void check_addr(const uint8_t *data, size_t len)
{
	struct peer_addr addr, again;
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	peer_addr_read(&r, &addr);
	if (cbor_reader_finish(&r) < 0)
		return;
	peer_addr_write(&w, &addr);
	weft_assert(!w.bad);
	cbor_reader_init(&r, bytes, writer_len(&w));
	peer_addr_read(&r, &again);
	weft_assert(cbor_reader_finish(&r) == 0);
	weft_assert(memcmp(&addr, &again, sizeof(addr)) == 0);
}

static void check_record(const uint8_t *data, size_t len)
{
	struct mesh_peer_record record;
	uint8_t bytes[MESH_PEER_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (mesh_peer_record_parse(data, len, &record) < 0)
		return;
	mesh_peer_record_write(&w, &record);
	weft_assert(!w.bad);
	weft_assert(mesh_peer_record_parse(bytes, writer_len(&w), &record) == 0);
}

static void check_bye(const uint8_t *data, size_t len)
{
	struct mesh_bye bye, again;
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (mesh_bye_parse(data, len, &bye) < 0)
		return;
	mesh_bye_write(&w, &bye);
	weft_assert(mesh_bye_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(bye.reason == again.reason && bye.not_before_ms == again.not_before_ms);
}

/* What is accepted is written as something that parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_hello(data, len);
	check_addr(data, len);
	check_record(data, len);
	check_bye(data, len);
	return 0;
}
