/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/cert.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY          86400
#define CA_DAYS      (20 * 365)
#define SERVER_DAYS  (2 * 365)
#define SUBJECT_SIZE (2 * SH_DEVICE_ID_SIZE + 1)

struct extension {
    int nid;
    const char *value;
};

/* What distinguishes the three kinds of certificate. */
struct kind {
    int64_t seconds;
    struct extension extensions[6];
};

static const struct kind ca_kind = {
    .seconds = (int64_t)CA_DAYS * DAY,
    .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                   {NID_key_usage, "critical,keyCertSign"},
                   {NID_subject_key_identifier, "hash"},
                   {NID_undef, NULL}},
};
static const struct kind server_kind = {
    .seconds = (int64_t)SERVER_DAYS * DAY,
    .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                   {NID_key_usage, "critical,digitalSignature"},
                   {NID_ext_key_usage, "serverAuth"},
                   {NID_subject_key_identifier, "hash"},
                   {NID_authority_key_identifier, "keyid:always"},
                   {NID_undef, NULL}},
};
static const struct kind token_kind = {
    .seconds = SH_TOKEN_SECONDS,
    .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                   {NID_key_usage, "critical,digitalSignature"},
                   {NID_ext_key_usage, "clientAuth"},
                   {NID_subject_key_identifier, "hash"},
                   {NID_authority_key_identifier, "keyid:always"},
                   {NID_undef, NULL}},
};

static void certp(X509 **cert)
{
    X509_free(*cert);
}

static enum sh_cause crypto_failed(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    enum sh_cause cause =
        sh_fail(SH_ENV_CRYPTO, "%s: %s", what, reason ? reason : "no reason given");
    ERR_clear_error();
    return cause;
}

static enum sh_cause refuse(enum sh_cause cause, const char *why)
{
    ERR_clear_error();
    return sh_fail(cause, "%s", why);
}

static enum sh_cause set_serial(X509 *cert)
{
    uint8_t serial[SH_SERIAL_SIZE];
    do {
        SH_TRY(sh_random(serial, sizeof(serial)));
        serial[0] &= 0x7f; /* positive, and (not 0) always of full length */
    } while (serial[0] == 0);
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return ok ? SH_OK : crypto_failed("serial");
}

static enum sh_cause set_subject(X509_NAME *name, EVP_PKEY *key)
{
    uint8_t id[SH_DEVICE_ID_SIZE];
    char text[SUBJECT_SIZE];
    SH_TRY(sh_device_id(key, id));
    sh_hex(id, sizeof(id), text);
    if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (unsigned char *)text, -1,
                                   -1, 0) != 1)
        return crypto_failed("subject");
    return SH_OK;
}

static enum sh_cause set_validity(X509 *cert, int64_t now, int64_t seconds)
{
    time_t from = (time_t)(now - SH_BACKDATE_SECONDS), to = (time_t)(now + seconds);
    if (!ASN1_TIME_set(X509_getm_notBefore(cert), from) ||
        !ASN1_TIME_set(X509_getm_notAfter(cert), to))
        return crypto_failed("validity");
    return SH_OK;
}

static enum sh_cause add_extensions(X509 *cert, X509 *issuer, const struct extension *extension)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (; extension->value; extension++) {
        X509_EXTENSION *made = X509V3_EXT_conf_nid(NULL, &ctx, extension->nid, extension->value);
        bool ok = made && X509_add_ext(cert, made, -1) == 1;
        X509_EXTENSION_free(made);
        if (!ok)
            return crypto_failed(OBJ_nid2sn(extension->nid));
    }
    return SH_OK;
}

/* issuer NULL: the certificate issues itself. */
static enum sh_cause make(const struct kind *kind, EVP_PKEY *key, EVP_PKEY *ca_key, X509 *issuer,
                          int64_t now, X509 **ret_cert)
{
    SH_CLEANUP(certp) X509 *cert = X509_new();
    if (!cert)
        return SH_ENV_NO_MEMORY;
    SH_TRY(set_serial(cert));
    SH_TRY(set_subject(X509_get_subject_name(cert), key));
    SH_TRY(set_validity(cert, now, kind->seconds));
    if (X509_set_version(cert, X509_VERSION_3) != 1 || X509_set_pubkey(cert, key) != 1 ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) != 1)
        return crypto_failed("certificate");
    SH_TRY(add_extensions(cert, issuer ? issuer : cert, kind->extensions));
    if (X509_sign(cert, ca_key, EVP_sha256()) <= 0)
        return crypto_failed("signature");
    *ret_cert = cert;
    cert = NULL;
    return SH_OK;
}

enum sh_cause sh_cert_ca(EVP_PKEY *ca_key, int64_t now, X509 **ret_cert)
{
    return make(&ca_kind, ca_key, ca_key, NULL, now, ret_cert);
}

enum sh_cause sh_cert_server(EVP_PKEY *ca_key, X509 *ca_cert, EVP_PKEY *key, int64_t now,
                             X509 **ret_cert)
{
    return make(&server_kind, key, ca_key, ca_cert, now, ret_cert);
}

/* A copy that free() may release. */
static enum sh_cause take_der(unsigned char *openssl, int n, uint8_t **ret_der, size_t *ret_len)
{
    uint8_t *der = n > 0 ? malloc((size_t)n) : NULL;
    if (der)
        memcpy(der, openssl, (size_t)n);
    OPENSSL_free(openssl);
    if (n <= 0)
        return crypto_failed("DER");
    if (!der)
        return SH_ENV_NO_MEMORY;
    *ret_der = der;
    *ret_len = (size_t)n;
    return SH_OK;
}

enum sh_cause sh_csr_new(EVP_PKEY *key, uint8_t **ret_der, size_t *ret_len)
{
    X509_REQ *req = X509_REQ_new();
    unsigned char *der = NULL;
    int n = 0;
    if (!req)
        return SH_ENV_NO_MEMORY;
    enum sh_cause cause = set_subject(X509_REQ_get_subject_name(req), key);
    if (cause == SH_OK &&
        (X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 || X509_REQ_set_pubkey(req, key) != 1 ||
         X509_REQ_sign(req, key, EVP_sha256()) <= 0))
        cause = crypto_failed("request");
    if (cause == SH_OK)
        n = i2d_X509_REQ(req, &der);
    X509_REQ_free(req);
    SH_TRY(cause);
    return take_der(der, n, ret_der, ret_len);
}

/* The key that asks, after it proved that it can sign. Borrowed from the request. */
static enum sh_cause check_request(X509_REQ *req, EVP_PKEY **ret_key)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    if (!sh_key_is_p256(key))
        return refuse(SH_TLS_BAD_CERTIFICATE, "the request's key is not on P-256");
    if (X509_REQ_get_signature_nid(req) != NID_ecdsa_with_SHA256 || X509_REQ_verify(req, key) != 1)
        return refuse(SH_TLS_BAD_CERTIFICATE, "the request is not signed by its key");
    *ret_key = key;
    return SH_OK;
}

static enum sh_cause issue(EVP_PKEY *ca_key, X509 *ca_cert, EVP_PKEY *key, int64_t now,
                           struct sh_issued *ret_issued)
{
    struct sh_issued issued = {.not_before = now - SH_BACKDATE_SECONDS,
                               .not_after = now + SH_TOKEN_SECONDS};
    issued.renew_after = issued.not_before + (issued.not_after - issued.not_before) / 3 * 2;
    SH_CLEANUP(certp) X509 *cert = NULL;
    SH_TRY(make(&token_kind, key, ca_key, ca_cert, now, &cert));
    SH_TRY(sh_cert_serial(cert, issued.serial));
    SH_TRY(sh_device_id(key, issued.device_id));
    issued.cert = cert;
    cert = NULL;
    *ret_issued = issued;
    return SH_OK;
}

enum sh_cause sh_cert_issue(EVP_PKEY *ca_key, X509 *ca_cert, struct sh_bytes csr, int64_t now,
                            struct sh_issued *ret_issued)
{
    const unsigned char *p = csr.p;
    EVP_PKEY *key = NULL;
    if (csr.n == 0 || csr.n > SH_CSR_MAX)
        return sh_fail(SH_PROTO_MALFORMED, "request of %zu octets", csr.n);
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)csr.n);
    enum sh_cause cause = SH_OK;
    if (!req || p != csr.p + csr.n)
        cause = refuse(SH_PROTO_MALFORMED, "not a certificate request");
    if (cause == SH_OK)
        cause = check_request(req, &key);
    if (cause == SH_OK)
        cause = issue(ca_key, ca_cert, key, now, ret_issued);
    X509_REQ_free(req);
    return cause;
}

void sh_issued_clear(struct sh_issued *issued)
{
    if (!issued)
        return;
    X509_free(issued->cert);
    memset(issued, 0, sizeof(*issued));
}

enum sh_cause sh_cert_to_der(X509 *cert, uint8_t **ret_der, size_t *ret_len)
{
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);
    return take_der(der, n, ret_der, ret_len);
}

enum sh_cause sh_cert_from_der(struct sh_bytes der, X509 **ret_cert)
{
    const unsigned char *p = der.p;
    if (der.n == 0 || der.n > SH_CERT_MAX)
        return sh_fail(SH_PROTO_MALFORMED, "certificate of %zu octets", der.n);
    SH_CLEANUP(certp) X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    if (!cert || p != der.p + der.n)
        return refuse(SH_PROTO_MALFORMED, "not a certificate");
    *ret_cert = cert;
    cert = NULL;
    return SH_OK;
}

enum sh_cause sh_cert_serial(X509 *cert, uint8_t out[SH_SERIAL_SIZE])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || /* the other one is negative */
        ASN1_STRING_length(serial) != SH_SERIAL_SIZE)
        return refuse(SH_TLS_BAD_CERTIFICATE, "serial is not of 16 octets");
    memcpy(out, ASN1_STRING_get0_data(serial), SH_SERIAL_SIZE);
    return SH_OK;
}

enum sh_cause sh_cert_not_after(X509 *cert, int64_t *ret_seconds)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
        return refuse(SH_TLS_BAD_CERTIFICATE, "end of validity cannot be read");
    *ret_seconds = timegm(&tm);
    return SH_OK;
}

enum sh_cause sh_cert_public_key(X509 *cert, uint8_t **ret_der, size_t *ret_len)
{
    unsigned char *openssl = NULL;
    if (!X509_get0_pubkey(cert))
        return refuse(SH_TLS_BAD_CERTIFICATE, "the certificate's key cannot be read");
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &openssl);
    uint8_t *der = n > 0 ? malloc((size_t)n) : NULL;
    if (der)
        memcpy(der, openssl, (size_t)n);
    OPENSSL_free(openssl);
    if (!der)
        return SH_ENV_NO_MEMORY;
    *ret_der = der;
    *ret_len = (size_t)n;
    return SH_OK;
}

enum sh_cause sh_cert_device_id(X509 *cert, uint8_t out[SH_DEVICE_ID_SIZE])
{
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    uint8_t hash[32];
    SH_TRY(sh_cert_public_key(cert, &der, &n));
    const struct sh_bytes piece = {der, n};
    if (!sh_public_key_is_p256(piece))
        return refuse(SH_TLS_BAD_CERTIFICATE, "the certificate's key is not on P-256");
    SH_TRY(sh_sha256(&piece, 1, hash));
    memcpy(out, hash, SH_DEVICE_ID_SIZE);
    return SH_OK;
}

/* The chain of one, by the rules of RFC 5280 section 6. */
static enum sh_cause check_chain(X509 *cert, X509 *ca, int64_t now)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    enum sh_cause cause = SH_ENV_CRYPTO;
    if (store && ctx && X509_STORE_add_cert(store, ca) == 1 &&
        X509_STORE_CTX_init(ctx, store, cert, NULL) == 1 &&
        X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1) {
        X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
        cause = SH_OK;
        if (X509_verify_cert(ctx) != 1)
            cause = refuse(SH_TLS_BAD_CERTIFICATE,
                           X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return cause;
}

enum sh_cause sh_cert_check_token(X509 *cert, X509 *ca, EVP_PKEY *our_key, int64_t now)
{
    uint8_t serial[SH_SERIAL_SIZE];
    EVP_PKEY *key = X509_get0_pubkey(cert);
    if (!sh_key_is_p256(key) || EVP_PKEY_eq(key, our_key) != 1)
        return refuse(SH_TLS_BAD_CERTIFICATE, "the certificate is not for our key");
    SH_TRY(sh_cert_serial(cert, serial));
    SH_TRY(check_chain(cert, ca, now));
    /* A certificate that says nothing about its use passes the chain's check of purpose. */
    if (X509_get_extended_key_usage(cert) != XKU_SSL_CLIENT)
        return refuse(SH_TLS_BAD_CERTIFICATE, "the certificate is not for clients");
    return SH_OK;
}
