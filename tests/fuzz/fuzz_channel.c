/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any octets as what a TLS peer sends, before it is known. The first octet says to whom: 0 a server with
 * PSK, 1 a client with PSK, 2 a server with certificates; the second how large the pieces are.
 */
#include <string.h>

#include "crypto/cert.h"
#include "crypto/channel.h"
#include "fuzz/fuzz.h"

#define NOW 1800000000

static void tx(struct sh_bytes bytes SH_UNUSED, void *user SH_UNUSED) {}

/* Nobody gets this far without the key: its bits would have to be guessed. */
static enum sh_cause up(void *user SH_UNUSED)
{
    abort();
}

static enum sh_cause msg(unsigned type SH_UNUSED, struct sh_bytes payload SH_UNUSED,
                         void *user SH_UNUSED)
{
    abort();
}

static enum sh_cause find_psk(struct sh_bytes identity, struct sh_secret *ret_psk,
                              void *user SH_UNUSED)
{
    if (identity.n != 5 || memcmp(identity.p, "alice", 5) != 0)
        return SH_TLS_SESSION_UNKNOWN;
    memset(ret_psk->b, 0x42, sizeof(ret_psk->b));
    return SH_OK;
}

static const struct sh_channel_ops plain_ops = {.tx = tx, .up = up, .msg = msg};
static const struct sh_channel_ops psk_ops = {.tx = tx, .up = up, .msg = msg, .find_psk = find_psk};

static struct sh_channel *channel_for(uint8_t kind)
{
    static struct sh_identity *anchor;
    struct sh_secret psk;
    struct sh_channel *channel = NULL;
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .now = NOW};
    if (!anchor)
        fuzz_assert(sh_identity_new(NOW, &anchor) == SH_OK);
    memset(psk.b, 0x42, sizeof(psk.b));
    if (kind % 3 == 1) {
        config.role = SH_CHANNEL_CLIENT;
        config.psk_identity = SH_BYTES("alice", 5);
        config.psk = &psk;
    } else if (kind % 3 == 2) {
        config.key = anchor->key;
        config.cert = anchor->server_cert;
        config.ca = anchor->ca_cert;
    }
    const struct sh_channel_ops *ops = kind % 3 == 0 ? &psk_ops : &plain_ops;
    fuzz_assert(sh_channel_new(&config, ops, NULL, &channel) == SH_OK);
    fuzz_assert(sh_channel_start(channel) == SH_OK);
    return channel;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct sh_channel *channel = channel_for(data[0]);
    size_t piece = data[1] ? data[1] : size;
    enum sh_cause cause = SH_OK;
    for (size_t at = 2; at < size && cause == SH_OK; at += piece)
        cause = sh_channel_rx(channel, SH_BYTES(data + at, SH_MIN(piece, size - at)));
    fuzz_assert(!sh_channel_is_up(channel));
    fuzz_assert(sh_channel_end(channel) != SH_OK);
    sh_channel_free(channel);
    return 0;
}
