/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The secure channel: TLS 1.3 (RFC 8446) as an engine over memory BIOs, and frames inside it. Bytes of the
 * stream go in and out, messages go out and in; it does not know what carries the bytes, so L2CAP and TCP
 * share it. The secondary is the TLS client, the anchor the server.
 *
 * Keys, one of
 *   PSK    an external 32-octet PSK with an identity, psk_dhe_ke, no certificates (first visit, and every
 *          further link of a session by the exporter of its first channel);
 *   CERTS  both sides show certificates of the anchor's CA;
 *   both   a server to which strangers come: what the client asks for by ALPN decides. "simhop1-direct" wants
 *          certificates, all else a PSK; neither is ever taken for the other.
 * Suites TLS_AES_128_GCM_SHA256, where both processors have instructions for it, and
 * TLS_CHACHA20_POLY1305_SHA256; groups X25519MLKEM768 where OpenSSL has
 * it, X25519, P-256. No tickets, no early data, no renegotiation. ALPN (RFC 7301) "simhop/1", or "simhop1-direct" where
 * nothing was said in the clear before.
 */
#ifndef SIMHOP_CRYPTO_CHANNEL_H
#define SIMHOP_CRYPTO_CHANNEL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/secret.h"
#include "proto/frame.h"

#define SH_PSK_IDENTITY_MAX 64

enum sh_channel_role { SH_CHANNEL_CLIENT, SH_CHANNEL_SERVER };

/* Which of the two suites comes first. Tests say it; all others leave it to the processor. */
enum sh_channel_aes { SH_CHANNEL_AES_ASK, SH_CHANNEL_AES_QUICK, SH_CHANNEL_AES_SLOW };

/* What the engine tells. Called from sh_channel_start, _rx, _send and _close only; none may free the
 * channel. up and msg may send and close; tx and find_psk call nothing of the channel. */
struct sh_channel_ops {
    /* Bytes for the stream; always takes them all. */
    void (*tx)(struct sh_bytes bytes, void *user);
    /* The handshake is done; messages may be sent. A cause refuses the peer and ends the channel
     * (the server checks the client's certificate against its registry here). */
    enum sh_cause (*up)(void *user);
    /* One message. A cause ends the channel. */
    enum sh_cause (*msg)(unsigned type, struct sh_bytes payload, void *user);
    /* Server with PSK: fills the key for this identity and says SH_OK, or tls.session-unknown.
     * NULL for a client, and for a server that takes only certificates. */
    enum sh_cause (*find_psk)(struct sh_bytes identity, struct sh_secret *ret_psk, void *user);
};

struct sh_channel_config {
    enum sh_channel_role role;
    /* PSK client: identity (1 to SH_PSK_IDENTITY_MAX octets) and key; copied. */
    struct sh_bytes psk_identity;
    const struct sh_secret *psk;
    /* CERTS: this side's key and certificate, and the CA that the other side's must come from; referenced
     * (up_ref) by the channel. For PSK all are NULL. */
    EVP_PKEY *key;
    X509 *cert;
    X509 *ca;
    /* A client with CERTS: "simhop1-direct". A server with CERTS: that too, beside PSK, which it needs then. */
    bool direct;
    int64_t now; /* seconds since 1970: the time at which certificates are judged */
    enum sh_channel_aes aes;
    /* What sh_channel_context_new made of a config with the same keys, role and direct; NULL: the channel makes its own. */
    struct sh_channel_context *context;
};

struct sh_channel;

/* What channels with the same keys may share; it is most of what one of them costs in memory, and in time before its first octet. The
 * channels that have it may outlive it. psk: as a server whose ops have find_psk. Fails as sh_channel_new does. */
SH_MUST_USE enum sh_cause sh_channel_context_new(const struct sh_channel_config *config, bool psk,
                                                 struct sh_channel_context **ret_context);
/* NULL is fine. */
void sh_channel_context_free(struct sh_channel_context *context);

/* Exactly one kind of keys, but for a direct server; a server has PSK if ops has find_psk. ops is kept by reference.
 * Fails with internal.bug (none, or more than that), env.crypto (key and certificate do not fit), env.no-memory. */
SH_MUST_USE enum sh_cause sh_channel_new(const struct sh_channel_config *config,
                                         const struct sh_channel_ops *ops, void *user,
                                         struct sh_channel **ret_channel);
void sh_channel_free(struct sh_channel *channel);

/* The client sends its first flight; the server does nothing yet. Fails with tls.failed, env.crypto. */
SH_MUST_USE enum sh_cause sh_channel_start(struct sh_channel *channel);

/* Bytes from the stream. Whatever alert TLS makes of a failure has been given to tx when this returns.
 * Fails with tls.key-mismatch (binder wrong, or the peer's alert says so), tls.session-unknown,
 * tls.bad-certificate (either side's), linked.expired (ours or theirs is past its end), tls.failed,
 * a framing cause, env.no-memory, or what up/msg/find_psk gave. After a failure it takes nothing more;
 * unless TLS itself failed, messages (an Abort) can still be sent. */
SH_MUST_USE enum sh_cause sh_channel_rx(struct sh_channel *channel, struct sh_bytes bytes);

/* The stream ended: SH_OK after the peer's close_notify between two messages, else connect.lost, or
 * proto.truncated inside a message. */
SH_MUST_USE enum sh_cause sh_channel_end(struct sh_channel *channel);

/* Packs and sends one message. Fails with proto.wrong-state before up and after close, internal.bug,
 * tls.failed. */
SH_MUST_USE enum sh_cause sh_channel_send(struct sh_channel *channel, unsigned type,
                                          const ProtobufCMessage *message);
/* A binary frame (Leaf): the payload in two pieces, so that the data need not be copied together. */
SH_MUST_USE enum sh_cause sh_channel_send_binary(struct sh_channel *channel, unsigned type,
                                                 struct sh_bytes head, struct sh_bytes data);
/* close_notify. */
void sh_channel_close(struct sh_channel *channel);

/* The handshake is done and nothing failed since. */
bool sh_channel_is_up(const struct sh_channel *channel);

/* RFC 8446 section 7.5 with label "EXPORTER-simhop1 link": the PSK of further links of the session.
 * Both sides get the same. Fails with proto.wrong-state before up, env.crypto. */
SH_MUST_USE enum sh_cause sh_channel_export(struct sh_channel *channel, struct sh_secret *ret_psk);

/* The same with label "EXPORTER-simhop1 direct": what stands for the transcript of a handshake in a direct session. Fails with
 * proto.wrong-state in another one, too. */
SH_MUST_USE enum sh_cause sh_channel_export_direct(struct sh_channel *channel, uint8_t out[32]);
/* Up, and by "simhop1-direct". */
bool sh_channel_is_direct(const struct sh_channel *channel);

/* The peer's certificate (CERTS, after the handshake), NULL with PSK. Borrowed. */
X509 *sh_channel_peer_cert(const struct sh_channel *channel);

/* "X25519", "X25519MLKEM768", ...: the group of the key agreement, for status. Never NULL. */
const char *sh_channel_group(const struct sh_channel *channel);
/* "TLS_AES_128_GCM_SHA256", ...: the suite, likewise. */
const char *sh_channel_suite(const struct sh_channel *channel);

#endif
