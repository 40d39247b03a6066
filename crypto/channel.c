/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/channel.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/channel_tls.h"
#include "proto/log.h"

#define RECORD       16384 /* octets in one full TLS record, RFC 8446 section 5.1 */
#define LINK_LABEL   "EXPORTER-simhop1 link"
#define DIRECT_LABEL "EXPORTER-simhop1 direct"

struct sh_channel {
    const struct sh_channel_ops *ops;
    void *user;
    bool server;
    bool certs;  /* with both kinds of keys: known once the handshake is done */
    bool direct; /* the same */
    bool both;
    SSL *ssl;
    struct sh_bytes in; /* came in, and TLS has not read it yet */
    struct sh_frame_reader *reader;
    uint8_t identity[SH_PSK_IDENTITY_MAX];
    size_t identity_n;
    struct sh_secret psk;

    bool up;          /* the handshake is done */
    bool closed;      /* our close_notify is out */
    bool peer_closed; /* theirs is in */
    bool dead;        /* TLS itself failed: nothing can be sent */
    bool receiving;
    bool flushing;         /* in tx, from where nothing here may be called */
    enum sh_cause failure; /* the first one: nothing more is received */
    enum sh_cause refusal; /* why find_psk gave no key */
};

struct sh_channel_context {
    SSL_CTX *ctx;
};

/* ---- The ends of TLS: what it writes goes to tx at once, what it reads is what came in. Nothing is copied or kept between. ---- */

static int bio_write(BIO *bio, const char *bytes, int n)
{
    struct sh_channel *channel = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    channel->flushing = true;
    channel->ops->tx(SH_BYTES((const uint8_t *)bytes, (size_t)n), channel->user);
    channel->flushing = false;
    return n;
}

static int bio_read(BIO *bio, char *out, int size)
{
    struct sh_channel *channel = BIO_get_data(bio);
    size_t n = SH_MIN(channel->in.n, size > 0 ? (size_t)size : 0);
    BIO_clear_retry_flags(bio);
    if (n == 0) { /* means "later", not "over" */
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, channel->in.p, n);
    channel->in = SH_BYTES(channel->in.p + n, channel->in.n - n);
    return (int)n;
}

static long bio_ctrl(BIO *bio SH_UNUSED, int command, long number SH_UNUSED,
                     void *pointer SH_UNUSED)
{
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* One for all channels, for as long as the process runs. */
static const BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;
    if (method)
        return method;
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "simhop stream");
    if (!made)
        return NULL;
    if (BIO_meth_set_write(made, bio_write) != 1 || BIO_meth_set_read(made, bio_read) != 1 ||
        BIO_meth_set_ctrl(made, bio_ctrl) != 1 || BIO_meth_set_create(made, bio_create) != 1) {
        BIO_meth_free(made);
        return NULL;
    }
    method = made;
    return method;
}

/* ---- The callbacks for PSK ---- */

static int use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **ret_identity,
                   size_t *ret_identity_n, SSL_SESSION **ret_session)
{
    struct sh_channel *channel = SSL_get_app_data(ssl);
    *ret_session = NULL;
    if (md && !EVP_MD_is_a(md, "SHA256")) /* after a HelloRetryRequest for another hash */
        return 1;
    if (sh_tls_psk_session(ssl, &channel->psk, ret_session) != SH_OK)
        return 0;
    *ret_identity = channel->identity;
    *ret_identity_n = channel->identity_n;
    return 1;
}

static int find_psk(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **ret_session)
{
    struct sh_channel *channel = SSL_get_app_data(ssl);
    sh_autowipe struct sh_secret psk = {.b = {0}};
    *ret_session = NULL;
    channel->refusal = SH_TLS_SESSION_UNKNOWN;
    if (n > 0 && n <= SH_PSK_IDENTITY_MAX)
        channel->refusal = channel->ops->find_psk(SH_BYTES(identity, n), &psk, channel->user);
    if (channel->refusal == SH_OK)
        channel->refusal = sh_tls_psk_session(ssl, &psk, ret_session);
    /* 1 without a session: not known, and the handshake fails for want of a certificate. */
    return channel->refusal == SH_OK || channel->refusal == SH_TLS_SESSION_UNKNOWN;
}

/* ---- Making and freeing ---- */

void sh_channel_free(struct sh_channel *channel)
{
    if (!channel)
        return;
    SSL_free(channel->ssl);
    sh_frame_reader_free(channel->reader);
    sh_wipe(channel, sizeof(*channel));
    free(channel);
}

static void channelp(struct sh_channel **channel)
{
    sh_channel_free(*channel);
}

static enum sh_cause on_frame(unsigned type, struct sh_bytes payload, void *user)
{
    struct sh_channel *channel = user;
    return channel->ops->msg(type, payload, channel->user);
}

/* One channel has one kind of keys: what it is not made for it can not be talked into. */
static bool config_is_sound(const struct sh_channel_config *config,
                            const struct sh_channel_ops *ops)
{
    bool server = config->role == SH_CHANNEL_SERVER;
    bool certs = config->key && config->cert && config->ca;
    bool some_certs = config->key || config->cert || config->ca;
    bool client_psk =
        config->psk && config->psk_identity.n > 0 && config->psk_identity.n <= SH_PSK_IDENTITY_MAX;
    bool psk = server ? ops->find_psk != NULL : client_psk;
    bool some_psk = config->psk || config->psk_identity.n > 0 || ops->find_psk;
    if (!ops->tx || !ops->up || !ops->msg)
        return false;
    if (config->direct)
        return certs && (server ? psk : !some_psk);
    return (certs && !some_psk) || (psk && !some_certs);
}

void sh_channel_context_free(struct sh_channel_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

static void contextp(struct sh_channel_context **context)
{
    sh_channel_context_free(*context);
}

enum sh_cause sh_channel_context_new(const struct sh_channel_config *config, bool psk,
                                     struct sh_channel_context **ret_context)
{
    SH_CLEANUP(contextp) struct sh_channel_context *context = calloc(1, sizeof(*context));
    if (!context)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_tls_context(config, config->key != NULL, &context->ctx));
    if (psk && config->role == SH_CHANNEL_SERVER)
        SSL_CTX_set_psk_find_session_callback(context->ctx, find_psk);
    else if (psk)
        SSL_CTX_set_psk_use_session_callback(context->ctx, use_psk);
    *ret_context = context;
    context = NULL;
    return SH_OK;
}

static enum sh_cause make_ssl(struct sh_channel *channel, const struct sh_channel_config *config)
{
    SH_CLEANUP(contextp) struct sh_channel_context *own = NULL;
    const struct sh_channel_context *context = config->context;
    if (!context) {
        SH_TRY(sh_channel_context_new(config, !channel->certs, &own));
        context = own;
    }
    channel->ssl = SSL_new(context->ctx);
    BIO *bio = bio_method() ? BIO_new(bio_method()) : NULL;
    if (!channel->ssl || !bio) {
        BIO_free(bio);
        return SH_ENV_NO_MEMORY;
    }
    BIO_set_data(bio, channel);
    SSL_set_bio(channel->ssl, bio, bio);
    SSL_set_app_data(channel->ssl, channel);
    if (config->key)
        X509_VERIFY_PARAM_set_time(SSL_get0_param(channel->ssl), (time_t)config->now);
    if (channel->server)
        SSL_set_accept_state(channel->ssl);
    else
        SSL_set_connect_state(channel->ssl);
    return SH_OK;
}

enum sh_cause sh_channel_new(const struct sh_channel_config *config,
                             const struct sh_channel_ops *ops, void *user,
                             struct sh_channel **ret_channel)
{
    if (!config_is_sound(config, ops))
        return sh_fail(SH_INTERNAL_BUG, "channel with neither PSK nor certificates, or with both");
    SH_CLEANUP(channelp) struct sh_channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return SH_ENV_NO_MEMORY;
    channel->ops = ops;
    channel->user = user;
    channel->server = config->role == SH_CHANNEL_SERVER;
    channel->both = channel->server && config->direct;
    channel->certs = config->key != NULL && !channel->both;
    channel->direct = config->direct && !channel->both;
    channel->reader = sh_frame_reader_new(false, on_frame, channel);
    if (!channel->reader)
        return SH_ENV_NO_MEMORY;
    if (!channel->certs && !channel->server) {
        memcpy(channel->identity, config->psk_identity.p, config->psk_identity.n);
        channel->identity_n = config->psk_identity.n;
        channel->psk = *config->psk;
    }
    SH_TRY(make_ssl(channel, config));
    *ret_channel = channel;
    channel = NULL;
    return SH_OK;
}

/* ---- Receiving ---- */

/* TLS is broken: what it said goes out, then nothing more. */
static enum sh_cause died(struct sh_channel *channel)
{
    bool certs = channel->certs || (channel->both && sh_tls_alpn_is(channel->ssl, true));
    channel->dead = true;
    if (channel->refusal != SH_OK) {
        ERR_clear_error();
        return channel->refusal;
    }
    return sh_tls_cause(channel->ssl, certs);
}

/* OpenSSL is content; did it do what this channel is for? */
static enum sh_cause check_handshake(struct sh_channel *channel)
{
    const char *wrong = NULL;
    if (channel->both)
        channel->direct = channel->certs = sh_tls_alpn_is(channel->ssl, true);
    bool reused = SSL_session_reused(channel->ssl);
    X509 *peer = SSL_get0_peer_certificate(channel->ssl);
    if (!channel->certs && (!reused || peer))
        wrong = "the key was not used";
    else if (channel->certs &&
             (reused || !peer || SSL_get_verify_result(channel->ssl) != X509_V_OK))
        wrong = "the certificate was not checked";
    else if (!sh_tls_alpn_is(channel->ssl, channel->direct))
        wrong = "the other side speaks another protocol";
    if (!wrong)
        return SH_OK;
    channel->dead = true;
    return sh_fail(SH_TLS_FAILED, "TLS: %s", wrong);
}

static enum sh_cause handshake(struct sh_channel *channel)
{
    int result = SSL_do_handshake(channel->ssl);
    int error = SSL_get_error(channel->ssl, result);
    if (result != 1 && error != SSL_ERROR_WANT_READ)
        return died(channel);
    if (result != 1)
        return SH_OK;
    SH_TRY(check_handshake(channel));
    channel->up = true;
    sh_log("channel: up, %s, %s, %s", channel->certs ? "certificates" : "psk",
           sh_channel_group(channel), sh_channel_suite(channel));
    return channel->ops->up(channel->user);
}

static enum sh_cause drain(struct sh_channel *channel)
{
    uint8_t plain[RECORD];
    for (;;) {
        size_t used = 0;
        ERR_clear_error(); /* a callback may have left something */
        int n = SSL_read(channel->ssl, plain, sizeof(plain));
        if (n > 0) {
            SH_TRY(sh_frame_reader_rx(channel->reader, SH_BYTES(plain, (size_t)n), &used));
            continue;
        }
        int error = SSL_get_error(channel->ssl, n);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN)
            return died(channel);
        channel->peer_closed = error == SSL_ERROR_ZERO_RETURN;
        return SH_OK;
    }
}

static enum sh_cause advance(struct sh_channel *channel)
{
    ERR_clear_error();
    if (!channel->up)
        SH_TRY(handshake(channel));
    return channel->up ? drain(channel) : SH_OK;
}

enum sh_cause sh_channel_start(struct sh_channel *channel)
{
    if (channel->server)
        return SH_OK;
    channel->failure = advance(channel);
    return channel->failure;
}

static enum sh_cause rx(struct sh_channel *channel, struct sh_bytes bytes)
{
    if (bytes.n == 0 || channel->peer_closed)
        return SH_OK;
    channel->in = bytes;
    enum sh_cause cause = advance(channel);
    channel->in = SH_BYTES(NULL, 0);
    return cause;
}

enum sh_cause sh_channel_rx(struct sh_channel *channel, struct sh_bytes bytes)
{
    if (channel->receiving || channel->flushing)
        return sh_fail(SH_INTERNAL_BUG, "sh_channel_rx from a callback of the channel");
    if (channel->failure != SH_OK)
        return channel->failure;
    channel->receiving = true;
    channel->failure = rx(channel, bytes);
    channel->receiving = false;
    return channel->failure;
}

enum sh_cause sh_channel_end(struct sh_channel *channel)
{
    if (channel->failure != SH_OK)
        return channel->failure;
    SH_TRY(sh_frame_reader_end(channel->reader));
    return channel->peer_closed ? SH_OK : SH_CONNECT_LOST;
}

/* ---- Sending ---- */

static enum sh_cause may_send(const struct sh_channel *channel)
{
    if (channel->flushing)
        return sh_fail(SH_INTERNAL_BUG, "sh_channel_send from tx");
    if (channel->dead)
        return sh_fail(SH_TLS_FAILED, "TLS: already broken");
    if (!channel->up || channel->closed)
        return SH_PROTO_WRONG_STATE;
    return SH_OK;
}

/* Record by record. */
static enum sh_cause put(struct sh_channel *channel, struct sh_bytes bytes)
{
    while (bytes.n > 0) {
        size_t n = SH_MIN(bytes.n, (size_t)RECORD);
        ERR_clear_error();
        if (SSL_write(channel->ssl, bytes.p, (int)n) != (int)n)
            return died(channel);
        bytes = SH_BYTES(bytes.p + n, bytes.n - n);
    }
    return SH_OK;
}

enum sh_cause sh_channel_send(struct sh_channel *channel, unsigned type,
                              const ProtobufCMessage *message)
{
    sh_autofree uint8_t *frame = NULL;
    size_t n = 0;
    SH_TRY(may_send(channel));
    SH_TRY(sh_msg_frame(type, message, &frame, &n));
    return put(channel, SH_BYTES(frame, n));
}

enum sh_cause sh_channel_send_binary(struct sh_channel *channel, unsigned type,
                                     struct sh_bytes head, struct sh_bytes data)
{
    uint8_t first[RECORD];
    const struct sh_msg_info *info = sh_msg_info(type);
    size_t n = head.n + data.n;
    SH_TRY(may_send(channel));
    if (!info || info->schema || n > info->cap || head.n > RECORD - SH_FRAME_HEADER)
        return sh_fail(SH_INTERNAL_BUG, "binary frame of type %u, %zu bytes", type, n);
    first[0] = (uint8_t)type;
    first[1] = (uint8_t)(n >> 16);
    first[2] = (uint8_t)(n >> 8);
    first[3] = (uint8_t)n;
    size_t have = SH_FRAME_HEADER;
    if (head.n)
        memcpy(first + have, head.p, head.n);
    have += head.n;
    size_t fits = SH_MIN(data.n, sizeof(first) - have);
    if (fits)
        memcpy(first + have, data.p, fits);
    SH_TRY(put(channel, SH_BYTES(first, have + fits)));
    return fits < data.n ? put(channel, SH_BYTES(data.p + fits, data.n - fits)) : SH_OK;
}

void sh_channel_close(struct sh_channel *channel)
{
    if (may_send(channel) != SH_OK)
        return;
    ERR_clear_error();
    SSL_shutdown(channel->ssl);
    ERR_clear_error();
    channel->closed = true;
}

/* ---- Asking ---- */

bool sh_channel_is_up(const struct sh_channel *channel)
{
    return channel->up && channel->failure == SH_OK;
}

static enum sh_cause export(struct sh_channel *channel, const char *label, uint8_t out[32]) {
    if (!channel->up) return SH_PROTO_WRONG_STATE;
    return SSL_export_keying_material(channel->ssl, out, 32, label, strlen(label), NULL, 0, 0) == 1
               ? SH_OK
               : SH_ENV_CRYPTO;
}

enum sh_cause sh_channel_export(struct sh_channel *channel, struct sh_secret *ret_psk)
{
    return export(channel, LINK_LABEL, ret_psk->b);
}

enum sh_cause sh_channel_export_direct(struct sh_channel *channel, uint8_t out[32])
{
    return channel->direct ? export(channel, DIRECT_LABEL, out) : SH_PROTO_WRONG_STATE;
}

bool sh_channel_is_direct(const struct sh_channel *channel)
{
    return channel->up && channel->direct;
}

X509 *sh_channel_peer_cert(const struct sh_channel *channel)
{
    return channel->up ? SSL_get0_peer_certificate(channel->ssl) : NULL;
}

const char *sh_channel_group(const struct sh_channel *channel)
{
    const char *name = NULL;
    if (channel->up)
        name = SSL_group_to_name(channel->ssl, (int)SSL_get_negotiated_group(channel->ssl));
    return name ? name : "";
}

const char *sh_channel_suite(const struct sh_channel *channel)
{
    const SSL_CIPHER *suite = channel->up ? SSL_get_current_cipher(channel->ssl) : NULL;
    return suite ? SSL_CIPHER_get_name(suite) : "";
}
