/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/channel_tls.h"

#include <openssl/err.h>
#include <openssl/tls1.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#ifdef __aarch64__
#include <sys/auxv.h>
#endif

#define MAX_PEER_CHAIN 8192 /* octets of certificates that a peer may show */

/* Each with its length before it (RFC 7301 section 3.1). */
static const unsigned char alpn[] = "\x08simhop/1", alpn_direct[] = "\x0esimhop1-direct";
#define ALPN_LENGTH (sizeof(alpn) - 1)

static struct sh_bytes alpn_of(bool direct)
{
    return direct ? SH_BYTES(alpn_direct, sizeof(alpn_direct) - 1) : SH_BYTES(alpn, ALPN_LENGTH);
}

/* direct: whether that may be chosen too. The client's first one that we speak. */
static int select_alpn(SSL *ssl SH_UNUSED, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *direct)
{
    int kinds = direct ? 2 : 1;
    for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
        for (int kind = 0; kind < kinds; kind++) {
            struct sh_bytes ours = alpn_of(kind == 1);
            if (ours.n <= in_len - i && memcmp(in + i, ours.p, ours.n) == 0) {
                *out = in + i + 1;
                *out_len = in[i];
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool sh_tls_alpn_is(const SSL *ssl, bool direct)
{
    const unsigned char *chosen = NULL;
    struct sh_bytes ours = alpn_of(direct);
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl, &chosen, &n);
    return n == ours.n - 1 && memcmp(chosen, ours.p + 1, n) == 0;
}

/* The certificate is for direct sessions only: who wants anything else of this server needs a PSK, and is refused for want of a
 * certificate as by one that has none. In TLS 1.3 the protocol is chosen before. */
static int choose_cert(SSL *ssl, void *user SH_UNUSED)
{
    if (!sh_tls_alpn_is(ssl, true))
        SSL_certs_clear(ssl);
    return 1;
}

/* X25519MLKEM768 came with OpenSSL 3.5; before, a list with it is refused whole. */
static bool set_groups(SSL_CTX *ctx)
{
    char hybrid[] = "X25519MLKEM768:X25519:P-256",
         classical[] = "X25519:P-256"; /* not const there */
    if (SSL_CTX_set1_groups_list(ctx, hybrid) == 1)
        return true;
    ERR_clear_error();
    return SSL_CTX_set1_groups_list(ctx, classical) == 1;
}

bool sh_tls_processor_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    unsigned long has = getauxval(AT_HWCAP);
    return (has & HWCAP_AES) != 0 && (has & HWCAP_PMULL) != 0;
#else
    return false;
#endif
}

/* Without instructions for it AES takes several times as long as ChaCha20. The server chooses: a client that puts ChaCha20
 * first has none, and gets it; so both sides need to have them for AES. */
static bool set_suites(SSL_CTX *ctx, enum sh_channel_aes aes)
{
    bool quick =
        aes == SH_CHANNEL_AES_ASK ? sh_tls_processor_has_aes() : aes == SH_CHANNEL_AES_QUICK;
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    return SSL_CTX_set_ciphersuites(
               ctx, quick ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
                          : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256") == 1;
}

/* One version, two suites (both with SHA-256, the hash of the PSK), and nothing that outlives the
 * connection. SSL_MODE_ENABLE_PARTIAL_WRITE, read-ahead and kTLS stay off. Without the compatibility
 * mode for middleboxes there is no ChangeCipherSpec, which nobody authenticates. */
static bool set_protocol(SSL_CTX *ctx, const struct sh_channel_config *config)
{
    static char direct;
    struct sh_bytes ours = alpn_of(config->direct);
    SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, config->direct ? &direct : NULL);
    if (config->direct && config->role == SH_CHANNEL_SERVER)
        SSL_CTX_set_cert_cb(ctx, choose_cert, NULL);
    SSL_CTX_set_max_cert_list(ctx, MAX_PEER_CHAIN);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           set_suites(ctx, config->aes) && SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
           SSL_CTX_set_alpn_protos(ctx, ours.p, (unsigned)ours.n) == 0 && /* 0 is its success */
           set_groups(ctx);
}

static bool set_certs(SSL_CTX *ctx, const struct sh_channel_config *config)
{
    int purpose =
        config->role == SH_CHANNEL_CLIENT ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    return SSL_CTX_use_certificate(ctx, config->cert) == 1 &&
           SSL_CTX_use_PrivateKey(ctx, config->key) == 1 && SSL_CTX_check_private_key(ctx) == 1 &&
           SSL_CTX_set_purpose(ctx, purpose) == 1 &&
           X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), config->ca) == 1;
}

enum sh_cause sh_tls_context(const struct sh_channel_config *config, bool certs, SSL_CTX **ret_ctx)
{
    bool client = config->role == SH_CHANNEL_CLIENT;
    SSL_CTX *ctx = SSL_CTX_new(client ? TLS_client_method() : TLS_server_method());
    if (!ctx)
        return SH_ENV_NO_MEMORY;
    /* With PSK too: a peer that shows a certificate instead meets an empty store. */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* A server takes no session, and a PSK counts as one, without some context; a client with one
     * refuses its own PSK. */
    bool ok = client || SSL_CTX_set_session_id_context(ctx, alpn, ALPN_LENGTH) == 1;
    if (!ok || !set_protocol(ctx, config) || (certs && !set_certs(ctx, config))) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        enum sh_cause cause =
            sh_fail(SH_ENV_CRYPTO, "TLS: %s", reason ? reason : "no reason given");
        SSL_CTX_free(ctx);
        ERR_clear_error();
        return cause;
    }
    *ret_ctx = ctx;
    return SH_OK;
}

enum sh_cause sh_tls_psk_session(SSL *ssl, const struct sh_secret *psk, SSL_SESSION **ret_session)
{
    static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
    SSL_SESSION *session = SSL_SESSION_new();
    if (!cipher || !session || SSL_SESSION_set1_master_key(session, psk->b, SH_SECRET_SIZE) != 1 ||
        SSL_SESSION_set_cipher(session, cipher) != 1 ||
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1) {
        SSL_SESSION_free(session);
        return SH_ENV_CRYPTO;
    }
    *ret_session = session;
    return SH_OK;
}

/* ---- The error queue ---- */

enum when { ALWAYS, WITH_PSK, WITH_CERTS };

/* OpenSSL says an alert of the peer as 1000 + its number (RFC 8446 section 6). */
#define ALERT(number) (SSL_AD_REASON_OFFSET + (number))

static const struct {
    int reason;
    enum when when;
    enum sh_cause cause;
} meanings[] = {
    {SSL_R_BINDER_DOES_NOT_VERIFY, ALWAYS, SH_TLS_KEY_MISMATCH},
    {ALERT(SSL_AD_ILLEGAL_PARAMETER), WITH_PSK, SH_TLS_KEY_MISMATCH},
    {ALERT(SSL_AD_DECRYPT_ERROR), WITH_PSK, SH_TLS_KEY_MISMATCH},
    /* A server that finds no PSK goes on to certificates, and has none. */
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, WITH_PSK, SH_TLS_SESSION_UNKNOWN},
    {SSL_R_NO_SHARED_CIPHER, WITH_PSK, SH_TLS_SESSION_UNKNOWN},
    {ALERT(SSL_AD_HANDSHAKE_FAILURE), WITH_PSK, SH_TLS_SESSION_UNKNOWN},
    {ALERT(SSL_AD_UNKNOWN_PSK_IDENTITY), WITH_PSK, SH_TLS_SESSION_UNKNOWN},
    {ALERT(SSL_AD_CERTIFICATE_EXPIRED), ALWAYS, SH_LINKED_EXPIRED},
    {ALERT(SSL_AD_DECRYPT_ERROR), WITH_CERTS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_BAD_CERTIFICATE), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_UNSUPPORTED_CERTIFICATE), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_CERTIFICATE_REVOKED), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_CERTIFICATE_UNKNOWN), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_UNKNOWN_CA), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_ACCESS_DENIED), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {ALERT(SSL_AD_CERTIFICATE_REQUIRED), ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, ALWAYS, SH_TLS_BAD_CERTIFICATE},
    {SSL_R_BAD_SIGNATURE, WITH_CERTS, SH_TLS_BAD_CERTIFICATE},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, WITH_CERTS, SH_TLS_BAD_CERTIFICATE},
};

static enum sh_cause meaning_of(int reason, const SSL *ssl, bool certs)
{
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return SSL_get_verify_result(ssl) == X509_V_ERR_CERT_HAS_EXPIRED ? SH_LINKED_EXPIRED
                                                                         : SH_TLS_BAD_CERTIFICATE;
    for (size_t i = 0; i < SH_COUNT(meanings); i++) {
        bool here = meanings[i].when == ALWAYS || (meanings[i].when == WITH_CERTS) == certs;
        if (here && meanings[i].reason == reason)
            return meanings[i].cause;
    }
    return SH_TLS_FAILED;
}

static const char *reason_text(unsigned long error, const SSL *ssl)
{
    const char *text = ERR_reason_error_string(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        text = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    return text ? text : "no reason given";
}

enum sh_cause sh_tls_cause(const SSL *ssl, bool certs)
{
    enum sh_cause cause = SH_TLS_FAILED;
    unsigned long told = 0, error = 0;
    /* The earliest one with a meaning wins; else the earliest gives the text. */
    while ((error = ERR_get_error()) != 0) {
        enum sh_cause found = SH_TLS_FAILED;
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            found = SH_ENV_NO_MEMORY;
        else if (ERR_GET_LIB(error) == ERR_LIB_SSL)
            found = meaning_of(ERR_GET_REASON(error), ssl, certs);
        if (told == 0 || (cause == SH_TLS_FAILED && found != SH_TLS_FAILED)) {
            cause = found;
            told = error;
        }
    }
    return sh_fail(cause, "TLS: %s", reason_text(told, ssl));
}
