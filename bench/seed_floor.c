/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is read chunk by chunk and copied into datagrams. Each is encrypted with
 * AES-128-GCM and its header masked as QUIC has it. They are sent in runs that
 * the kernel cuts, to several receivers in turn.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "net/packet_io.h"

#define CHUNK_LEN   (256 << 10)
#define CHUNK_CNT   32 /* that are under way: a buffer is used again after as many */
#define DGRAM_LEN   1452
#define HEAD_LEN    27 /* short header, 16 bytes of id, packet number, head of a stream frame */
#define NUMBER_OFF  17
#define TAG_LEN	    16
#define PAYLOAD_LEN (DGRAM_LEN - HEAD_LEN - TAG_LEN)
#define RUN_CNT	    44
#define RECEIVERS   16

struct source {
	int fd;
	off_t off, size;
	uint8_t *chunks; /* CHUNK_CNT */
	unsigned chunk;
	size_t used_len; /* of chunk */
};

struct seal {
	EVP_CIPHER_CTX *payload, *head;
	uint64_t number;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void source_open(struct source *source, const char *path)
{
	source->fd = open(path, O_RDONLY | O_CLOEXEC);
	source->chunks = malloc((size_t)CHUNK_CNT * CHUNK_LEN);
	source->size = source->fd < 0 ? -1 : lseek(source->fd, 0, SEEK_END);
	if (source->size < CHUNK_LEN || !source->chunks)
		die(path);
	source->used_len = CHUNK_LEN;
}

static const uint8_t *source_next(struct source *source)
{
	if (source->used_len + PAYLOAD_LEN > (size_t)CHUNK_LEN) {
		source->chunk = (source->chunk + 1) % CHUNK_CNT;
		source->used_len = 0;
		if (source->off + CHUNK_LEN > source->size)
			source->off = 0;
		if (pread(source->fd, source->chunks + (size_t)source->chunk * CHUNK_LEN, CHUNK_LEN,
			  source->off) != CHUNK_LEN)
			die("read a whole chunk");
		source->off += CHUNK_LEN;
	}
	source->used_len += PAYLOAD_LEN;
	return source->chunks + (size_t)source->chunk * CHUNK_LEN + source->used_len - PAYLOAD_LEN;
}

static void seal_init(struct seal *seal)
{
	static const uint8_t key[16] = {1}, nonce[12] = {0};

	seal->payload = EVP_CIPHER_CTX_new();
	seal->head = EVP_CIPHER_CTX_new();
	if (!seal->payload || !seal->head ||
	    EVP_EncryptInit_ex(seal->payload, EVP_aes_128_gcm(), NULL, key, nonce) != 1 ||
	    EVP_EncryptInit_ex(seal->head, EVP_aes_128_ecb(), NULL, key, NULL) != 1)
		die("AES");
	seal->number = 0;
}

static void seal_dgram(struct seal *seal, uint8_t *dgram)
{
	uint8_t *payload = dgram + HEAD_LEN, *tag = payload + PAYLOAD_LEN;
	uint8_t nonce[12] = {0}, mask[16];
	int len;

	seal->number++;
	memcpy(nonce, &seal->number, sizeof(seal->number));
	if (EVP_EncryptInit_ex(seal->payload, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_EncryptUpdate(seal->payload, NULL, &len, dgram, HEAD_LEN) != 1 ||
	    EVP_EncryptUpdate(seal->payload, payload, &len, payload, PAYLOAD_LEN) != 1 ||
	    EVP_EncryptFinal_ex(seal->payload, tag, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(seal->payload, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) != 1 ||
	    EVP_EncryptUpdate(seal->head, mask, &len, dgram + NUMBER_OFF + 4, sizeof(mask)) != 1)
		die("AES");
	for (unsigned i = 0; i < 4; i++)
		dgram[NUMBER_OFF + i] ^= mask[1 + i];
}

static size_t run_write(struct source *source, struct seal *seal, uint8_t *run)
{
	for (unsigned i = 0; i < RUN_CNT; i++) {
		uint8_t *dgram = run + i * DGRAM_LEN;

		memset(dgram, 0, HEAD_LEN);
		memcpy(dgram + HEAD_LEN, source_next(source), PAYLOAD_LEN);
		seal_dgram(seal, dgram);
	}
	return (size_t)RUN_CNT * DGRAM_LEN;
}

static void send_all(struct packet_tx *tx, struct source *source, uint64_t byte_cnt,
		     struct dgram_route *routes, unsigned route_cnt)
{
	uint64_t sent_len = 0;
	struct dgram_slot slot;
	struct seal seal;

	seal_init(&seal);
	while (sent_len < byte_cnt) {
		/* A receiver's turn is a chunk, as a stream's is. */
		unsigned turn = (unsigned)(sent_len / CHUNK_LEN) % route_cnt;

		if (tx->sink.ops->reserve(&tx->sink, (size_t)RUN_CNT * DGRAM_LEN, &slot)) {
			size_t len = run_write(source, &seal, slot.data);

			tx->sink.ops->commit(&tx->sink, &slot, len, &routes[turn]);
			sent_len += (uint64_t)RUN_CNT * PAYLOAD_LEN;
		}
		(void)packet_tx_flush(tx);
	}
}

int main(int argc, char **argv)
{
	struct udp_config config = {
		.listen_cnt = 1, .tx_buffer_len = 4u << 20, .refuse_io_uring = true};
	unsigned route_cnt = 0, failed_idx;
	struct dgram_route routes[RECEIVERS];
	char text[ADDR_TEXT_CAP];
	struct source source = {0};
	struct packet_rx *rx;
	struct packet_tx *tx;

	if (argc < 5 || argc > 4 + RECEIVERS)
		return 2;
	source_open(&source, argv[1]);
	for (int i = 4; i < argc; i++, route_cnt++) {
		routes[route_cnt] = (struct dgram_route){.segment_len = DGRAM_LEN};
		snprintf(text, sizeof(text), "%s:%s", argv[3], argv[i]);
		if (addr_parse(text, &routes[route_cnt].remote) < 0)
			return 2;
	}
	if (addr_parse("0.0.0.0:0", &config.listen[0]) < 0 ||
	    net_udp_open(&config, &rx, &tx, &failed_idx) < 0)
		die("udp_open");
	send_all(tx, &source, strtoull(argv[2], NULL, 10), routes, route_cnt);
	packet_tx_close(tx);
	packet_rx_close(rx);
	return 0;
}
