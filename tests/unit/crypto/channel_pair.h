/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two channels back to back: each side keeps what it sent until deliver() carries it over, whole or in
 * cuts or with an octet bent, and counts what its engine told. For the programs that test the channel.
 */
#ifndef SIMHOP_TESTS_CRYPTO_CHANNEL_PAIR_H
#define SIMHOP_TESTS_CRYPTO_CHANNEL_PAIR_H

#include "crypto/channel.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "crypto/cert.h"
#include "hex.h"

#define NOW 1800000000

enum { CLIENT, SERVER };

/* One engine, what it sent and nobody took yet, and what it told. */
struct side {
    struct sh_channel *channel;
    enum sh_channel_aes aes; /* set before its channel is made */
    uint8_t *out;
    size_t out_n, out_room;
    size_t largest_tx;
    unsigned ups, messages, leaves;
    uint64_t leaf_octets;
    unsigned last_sequence;
    unsigned echo; /* answer each ping with so many pongs, from inside msg */
    enum sh_cause up_says, msg_says;
    enum sh_cause cause;  /* what rx gave first */
    struct sh_secret psk; /* of the server */
    enum sh_cause psk_says;
    unsigned psk_asked;
    enum sh_cause misuse; /* what the channel says to a call out of tx */
    bool misuse_tx;
};

struct pair {
    struct side side[2];
    unsigned seed;
    size_t (*cut)(struct pair *pair, size_t n); /* how much of n octets goes over at once */
    size_t delivered[2];                        /* octets that reached each side */
    size_t bend_at[2];                          /* SIZE_MAX: none */
};

static SH_UNUSED void tx(struct sh_bytes bytes, void *user)
{
    struct side *side = user;
    if (side->out_n + bytes.n > side->out_room) {
        side->out_room = 2 * (side->out_n + bytes.n);
        side->out = realloc(side->out, side->out_room);
        assert_non_null(side->out);
    }
    memcpy(side->out + side->out_n, bytes.p, bytes.n);
    side->out_n += bytes.n;
    side->largest_tx = SH_MAX(side->largest_tx, bytes.n);
    if (side->misuse_tx) {
        Simhop__Ping ping = SIMHOP__PING__INIT;
        side->misuse = sh_channel_send(side->channel, SH_MSG_PING, &ping.base);
    }
}

static SH_UNUSED enum sh_cause up(void *user)
{
    struct side *side = user;
    side->ups++;
    assert_true(sh_channel_is_up(side->channel));
    return side->up_says;
}

static SH_UNUSED enum sh_cause answer(struct side *side)
{
    for (unsigned i = 0; i < side->echo; i++) {
        Simhop__Pong pong = SIMHOP__PONG__INIT;
        pong.sequence = side->last_sequence;
        SH_TRY(sh_channel_send(side->channel, SH_MSG_PONG, &pong.base));
    }
    return side->msg_says;
}

static SH_UNUSED enum sh_cause msg(unsigned type, struct sh_bytes payload, void *user)
{
    struct side *side = user;
    ProtobufCMessage *message = NULL;
    side->messages++;
    if (type == SH_MSG_LEAF) {
        for (size_t i = 44; i < payload.n; i++)
            assert_int_equal(payload.p[i], (uint8_t)(i * 7 + side->leaves));
        side->leaves++;
        side->leaf_octets += payload.n - 44;
        return side->msg_says;
    }
    SH_TRY(sh_msg_unpack(type, payload, &message));
    if (type == SH_MSG_PING)
        side->last_sequence = ((Simhop__Ping *)(void *)message)->sequence;
    if (type == SH_MSG_PONG)
        side->last_sequence = ((Simhop__Pong *)(void *)message)->sequence;
    sh_msg_free(message);
    return type == SH_MSG_PING ? answer(side) : side->msg_says;
}

static SH_UNUSED enum sh_cause find_psk(struct sh_bytes identity, struct sh_secret *ret_psk,
                                        void *user)
{
    struct side *side = user;
    side->psk_asked++;
    if (side->psk_says != SH_OK)
        return side->psk_says;
    if (identity.n != 5 || memcmp(identity.p, "alice", 5) != 0)
        return SH_TLS_SESSION_UNKNOWN;
    *ret_psk = side->psk;
    return SH_OK;
}

static SH_UNUSED const struct sh_channel_ops plain_ops = {.tx = tx, .up = up, .msg = msg};
static SH_UNUSED const struct sh_channel_ops psk_server_ops = {
    .tx = tx, .up = up, .msg = msg, .find_psk = find_psk};

/* ---- Delivery ---- */

static SH_UNUSED size_t all(struct pair *pair SH_UNUSED, size_t n)
{
    return n;
}

static SH_UNUSED size_t one(struct pair *pair SH_UNUSED, size_t n SH_UNUSED)
{
    return 1;
}

static SH_UNUSED size_t some(struct pair *pair, size_t n)
{
    pair->seed = pair->seed * 1103515245u + 12345u;
    return 1 + (pair->seed >> 8) % SH_MIN(n, (size_t)3000);
}

/* Takes one cut from one side to the other. */
static SH_UNUSED void deliver(struct pair *pair, int from)
{
    struct side *sender = &pair->side[from], *taker = &pair->side[!from];
    size_t n = SH_MIN(pair->cut(pair, sender->out_n), sender->out_n);
    uint8_t *bytes = malloc(n); /* of its own, so that the sanitizer sees a read beyond */
    memcpy(bytes, sender->out, n);
    memmove(sender->out, sender->out + n, sender->out_n - n);
    sender->out_n -= n;
    size_t at = pair->bend_at[!from] - pair->delivered[!from];
    if (pair->bend_at[!from] != SIZE_MAX && at < n)
        bytes[at] ^= 1;
    pair->delivered[!from] += n;
    enum sh_cause cause = sh_channel_rx(taker->channel, SH_BYTES(bytes, n));
    if (taker->cause == SH_OK)
        taker->cause = cause;
    free(bytes);
    assert_int_equal(ERR_peek_error(), 0);
}

static SH_UNUSED void settle(struct pair *pair)
{
    while (pair->side[CLIENT].out_n > 0 || pair->side[SERVER].out_n > 0) {
        for (int from = CLIENT; from <= SERVER; from++) {
            if (pair->side[from].out_n > 0)
                deliver(pair, from);
        }
    }
}

/* ---- Making ---- */

static SH_UNUSED void pair_init(struct pair *pair)
{
    memset(pair, 0, sizeof(*pair));
    pair->cut = all;
    pair->bend_at[CLIENT] = pair->bend_at[SERVER] = SIZE_MAX;
    memset(pair->side[SERVER].psk.b, 0x42, SH_SECRET_SIZE);
}

static SH_UNUSED void pair_clear(struct pair *pair)
{
    for (int i = CLIENT; i <= SERVER; i++) {
        sh_channel_free(pair->side[i].channel);
        free(pair->side[i].out);
    }
}
#define autopair SH_CLEANUP(pair_clear) struct pair

static SH_UNUSED void psk_client(struct pair *pair, const char *identity, uint8_t key)
{
    struct sh_secret psk;
    memset(psk.b, key, sizeof(psk.b));
    struct sh_channel_config config = {.role = SH_CHANNEL_CLIENT,
                                       .psk_identity = SH_BYTES(identity, strlen(identity)),
                                       .psk = &psk,
                                       .aes = pair->side[CLIENT].aes};
    assert_ok(
        sh_channel_new(&config, &plain_ops, &pair->side[CLIENT], &pair->side[CLIENT].channel));
    memset(&psk, 0, sizeof(psk)); /* it was copied */
}

static SH_UNUSED void psk_server(struct pair *pair)
{
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .aes = pair->side[SERVER].aes};
    assert_ok(
        sh_channel_new(&config, &psk_server_ops, &pair->side[SERVER], &pair->side[SERVER].channel));
}

static SH_UNUSED void psk_pair(struct pair *pair)
{
    pair_init(pair);
    psk_client(pair, "alice", 0x42);
    psk_server(pair);
}

static SH_UNUSED void start(struct pair *pair)
{
    assert_ok(sh_channel_start(pair->side[SERVER].channel));
    assert_ok(sh_channel_start(pair->side[CLIENT].channel));
    settle(pair);
}

static SH_UNUSED void assert_up(struct pair *pair)
{
    for (int i = CLIENT; i <= SERVER; i++) {
        assert_cause(pair->side[i].cause, SH_OK);
        assert_int_equal(pair->side[i].ups, 1);
        assert_true(sh_channel_is_up(pair->side[i].channel));
    }
}

static SH_UNUSED void ping(struct side *side, unsigned sequence)
{
    Simhop__Ping message = SIMHOP__PING__INIT;
    message.sequence = sequence;
    assert_ok(sh_channel_send(side->channel, SH_MSG_PING, &message.base));
}

/* A leaf of n octets as msg() expects it. */
static SH_UNUSED enum sh_cause send_leaf(struct side *side, unsigned number, size_t n)
{
    uint8_t head[44] = {0};
    uint8_t *data = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)((i + 44) * 7 + number);
    enum sh_cause cause = sh_channel_send_binary(side->channel, SH_MSG_LEAF,
                                                 SH_BYTES(head, sizeof(head)), SH_BYTES(data, n));
    free(data);
    return cause;
}

/* ---- The anchor and its secondary, with certificates ---- */

static struct sh_identity *anchor, *secondary, *stranger;
static struct sh_issued token;

static SH_UNUSED int make_world(void **state SH_UNUSED)
{
    uint8_t *csr = NULL;
    size_t n = 0;
    assert_ok(sh_identity_new(NOW, &anchor));
    assert_ok(sh_identity_new(NOW, &secondary));
    assert_ok(sh_identity_new(NOW, &stranger));
    assert_ok(sh_csr_new(secondary->key, &csr, &n));
    assert_ok(sh_cert_issue(anchor->ca_key, anchor->ca_cert, SH_BYTES(csr, n), NOW, &token));
    free(csr);
    return 0;
}

static SH_UNUSED int free_world(void **state SH_UNUSED)
{
    sh_identity_free(anchor);
    sh_identity_free(secondary);
    sh_identity_free(stranger);
    sh_issued_clear(&token);
    return 0;
}

static SH_UNUSED void certs_side(struct pair *pair, int which, EVP_PKEY *key, X509 *cert, X509 *ca,
                                 int64_t now)
{
    struct sh_channel_config config = {.role =
                                           which == CLIENT ? SH_CHANNEL_CLIENT : SH_CHANNEL_SERVER,
                                       .key = key,
                                       .cert = cert,
                                       .ca = ca,
                                       .now = now,
                                       .aes = pair->side[which].aes};
    assert_ok(sh_channel_new(&config, &plain_ops, &pair->side[which], &pair->side[which].channel));
}

static SH_UNUSED void certs_both(struct pair *pair, int64_t client_now, int64_t server_now)
{
    certs_side(pair, CLIENT, secondary->key, token.cert, anchor->ca_cert, client_now);
    certs_side(pair, SERVER, anchor->key, anchor->server_cert, anchor->ca_cert, server_now);
}

static SH_UNUSED void certs_pair(struct pair *pair, int64_t client_now, int64_t server_now)
{
    pair_init(pair);
    certs_both(pair, client_now, server_now);
}

#endif
