/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/identity.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/keyfile.h"

#define RENEW_SECONDS (30 * 86400)

/* SubjectPublicKeyInfo of an uncompressed point on the named curve P-256 (RFC 5480): everything before
 * the coordinates. */
static const uint8_t p256_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
#define P256_PUBLIC (sizeof(p256_head) + 64)

/* P-256 in the usual encoding, put together: OpenSSL's encoder takes longer to be found than all else that a short sync does with keys. */
static bool p256_der(EVP_PKEY *key, uint8_t out[P256_PUBLIC])
{
    const size_t before = sizeof(p256_head) - 1; /* the last octet is the point's first */
    char group[32];
    size_t n = 0;
    memcpy(out, p256_head, before);
    bool ok = EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
              strcmp(group, SN_X9_62_prime256v1) == 0 &&
              EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out + before,
                                              P256_PUBLIC - before, &n) == 1;
    ERR_clear_error();
    return ok && n == P256_PUBLIC - before && sh_public_key_is_p256(SH_BYTES(out, P256_PUBLIC));
}

enum sh_cause sh_public_key_der(EVP_PKEY *key, uint8_t **ret_der, size_t *ret_len)
{
    uint8_t known[P256_PUBLIC];
    unsigned char *openssl = NULL;
    bool is_known = p256_der(key, known);
    int n = is_known ? (int)sizeof(known) : i2d_PUBKEY(key, &openssl);
    uint8_t *der = n > 0 ? malloc((size_t)n) : NULL;
    if (der)
        memcpy(der, is_known ? known : openssl, (size_t)n);
    OPENSSL_free(openssl);
    if (n <= 0)
        return SH_ENV_CRYPTO;
    if (!der)
        return SH_ENV_NO_MEMORY;
    *ret_der = der;
    *ret_len = (size_t)n;
    return SH_OK;
}

bool sh_public_key_is_p256(struct sh_bytes der)
{
    return der.n == P256_PUBLIC && memcmp(der.p, p256_head, sizeof(p256_head)) == 0;
}

bool sh_key_is_p256(EVP_PKEY *key)
{
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    return key && sh_public_key_der(key, &der, &n) == SH_OK &&
           sh_public_key_is_p256(SH_BYTES(der, n));
}

enum sh_cause sh_device_id(EVP_PKEY *key, uint8_t out[SH_DEVICE_ID_SIZE])
{
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    uint8_t hash[32];
    SH_TRY(sh_public_key_der(key, &der, &n));
    const struct sh_bytes piece = {der, n};
    SH_TRY(sh_sha256(&piece, 1, hash));
    memcpy(out, hash, SH_DEVICE_ID_SIZE);
    return SH_OK;
}

enum sh_cause sh_sign(EVP_PKEY *key, const char *label, struct sh_bytes bytes,
                      uint8_t **ret_signature, size_t *ret_len)
{
    size_t n = 0;
    sh_autofree uint8_t *signature = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSignUpdate(ctx, label, strlen(label) + 1) == 1 &&
              EVP_DigestSignUpdate(ctx, bytes.p, bytes.n) == 1 &&
              EVP_DigestSignFinal(ctx, NULL, &n) == 1;
    if (ok)
        signature = malloc(n);
    bool no_memory = ok && !signature;
    ok = ok && signature && EVP_DigestSignFinal(ctx, signature, &n) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return no_memory ? SH_ENV_NO_MEMORY : SH_ENV_CRYPTO;
    *ret_signature = signature;
    *ret_len = n;
    signature = NULL;
    return SH_OK;
}

static EVP_PKEY *public_key_of(struct sh_bytes der)
{
    const unsigned char *p = der.p;
    /* OpenSSL's parser also takes what is not DER; one key has one encoding here. */
    if (der.n != P256_PUBLIC || memcmp(der.p, p256_head, sizeof(p256_head)) != 0)
        return NULL;
    return d2i_PUBKEY(NULL, &p, (long)der.n);
}

enum sh_cause sh_verify(struct sh_bytes public_key, const char *label, struct sh_bytes bytes,
                        struct sh_bytes signature)
{
    EVP_PKEY *key = public_key_of(public_key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum sh_cause cause = SH_BUNDLE_BAD_SIGNATURE;
    if (!ctx)
        cause = SH_ENV_NO_MEMORY;
    else if (key && (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
                     EVP_DigestVerifyUpdate(ctx, label, strlen(label) + 1) != 1 ||
                     EVP_DigestVerifyUpdate(ctx, bytes.p, bytes.n) != 1))
        cause = SH_ENV_CRYPTO;
    else if (key && EVP_DigestVerifyFinal(ctx, signature.p, signature.n) == 1)
        cause = SH_OK;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return cause;
}

void sh_identity_free(struct sh_identity *identity)
{
    if (!identity)
        return;
    EVP_PKEY_free(identity->key);
    EVP_PKEY_free(identity->ca_key);
    X509_free(identity->ca_cert);
    X509_free(identity->server_cert);
    sh_wipe(identity, sizeof(*identity));
    free(identity);
}

void sh_identity_freep(struct sh_identity **identity)
{
    sh_identity_free(*identity);
    *identity = NULL;
}

static enum sh_cause damaged(const char *folder, const char *name, const char *why)
{
    ERR_clear_error();
    return sh_fail(SH_ENV_KEY_DAMAGED, "%s/%s: %s", folder, name, why);
}

/* ---- Making what a file holds ---- */

static enum sh_cause make_key(void *user SH_UNUSED, struct sh_keyfile *ret_content)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    int n = 0;
    if (key && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        n = BIO_read(bio, ret_content->b, SH_KEYFILE_MAX);
    BIO_free(bio);
    EVP_PKEY_free(key);
    if (n <= 0)
        return SH_ENV_CRYPTO;
    ret_content->n = (size_t)n;
    return SH_OK;
}

static enum sh_cause make_resolving_key(void *user SH_UNUSED, struct sh_keyfile *ret_content)
{
    ret_content->n = SH_RESOLVING_KEY_SIZE;
    return sh_random(ret_content->b, ret_content->n);
}

static enum sh_cause content_of_cert(X509 *cert, struct sh_keyfile *ret_content)
{
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    SH_TRY(sh_cert_to_der(cert, &der, &n));
    if (n > SH_CERT_MAX)
        return sh_fail(SH_INTERNAL_BUG, "certificate of %zu octets", n);
    memcpy(ret_content->b, der, n);
    ret_content->n = n;
    return SH_OK;
}

/* For the makers of certificates. */
struct making {
    struct sh_identity *identity;
    int64_t now;
};

static enum sh_cause make_ca_cert(void *user, struct sh_keyfile *ret_content)
{
    const struct making *making = user;
    X509 *cert = NULL;
    SH_TRY(sh_cert_ca(making->identity->ca_key, making->now, &cert));
    enum sh_cause cause = content_of_cert(cert, ret_content);
    X509_free(cert);
    return cause;
}

static enum sh_cause make_server_cert(void *user, struct sh_keyfile *ret_content)
{
    const struct making *making = user;
    const struct sh_identity *identity = making->identity;
    X509 *cert = NULL;
    SH_TRY(sh_cert_server(identity->ca_key, identity->ca_cert, identity->key, making->now, &cert));
    enum sh_cause cause = content_of_cert(cert, ret_content);
    X509_free(cert);
    return cause;
}

/* The file's content, made first if there is none. What was made is read back, so that of two
 * processes both go on with the one that got the name. */
static enum sh_cause read_or_make(const char *folder, const char *name,
                                  enum sh_cause (*make)(void *user, struct sh_keyfile *ret_content),
                                  void *user, struct sh_keyfile *ret_content)
{
    bool found = false;
    SH_TRY(sh_keyfile_read(folder, name, ret_content, &found));
    if (found)
        return SH_OK;
    SH_TRY(make(user, ret_content));
    SH_TRY(sh_keyfile_write(folder, name, ret_content, false));
    SH_TRY(sh_keyfile_read(folder, name, ret_content, &found));
    return found ? SH_OK : sh_fail(SH_STORE_IO_ERROR, "%s/%s: vanished", folder, name);
}

/* ---- Reading what a file holds ---- */

/* Without this, OpenSSL asks the terminal for the passphrase of an encrypted key. */
static int no_passphrase(char *out SH_UNUSED, int size SH_UNUSED, int writing SH_UNUSED,
                         void *user SH_UNUSED)
{
    return -1;
}

static enum sh_cause load_key(const char *folder, const char *name, EVP_PKEY **ret_key)
{
    SH_CLEANUP(sh_keyfile_wipe) struct sh_keyfile content = {.n = 0};
    SH_TRY(read_or_make(folder, name, make_key, NULL, &content));
    BIO *bio = BIO_new_mem_buf(content.b, (int)content.n);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!bio)
        return SH_ENV_NO_MEMORY;
    if (!sh_key_is_p256(key)) {
        EVP_PKEY_free(key);
        return damaged(folder, name, "not a P-256 key");
    }
    *ret_key = key;
    return SH_OK;
}

static enum sh_cause load_resolving_key(const char *folder, uint8_t out[SH_RESOLVING_KEY_SIZE])
{
    static const char name[] = "resolving.key";
    SH_CLEANUP(sh_keyfile_wipe) struct sh_keyfile content = {.n = 0};
    SH_TRY(read_or_make(folder, name, make_resolving_key, NULL, &content));
    if (content.n != SH_RESOLVING_KEY_SIZE)
        return damaged(folder, name, "not 16 octets");
    memcpy(out, content.b, SH_RESOLVING_KEY_SIZE);
    return SH_OK;
}

/* The certificate in the content, which must be for the key and signed by the CA's. */
static enum sh_cause cert_of(const struct sh_keyfile *content, const char *folder, const char *name,
                             EVP_PKEY *key, EVP_PKEY *ca_key, X509 **ret_cert)
{
    X509 *cert = NULL;
    if (sh_cert_from_der(SH_BYTES(content->b, content->n), &cert) != SH_OK)
        return damaged(folder, name, "not a certificate");
    if (X509_check_private_key(cert, key) != 1 || X509_verify(cert, ca_key) != 1) {
        X509_free(cert);
        return damaged(folder, name, "does not fit the keys beside it");
    }
    *ret_cert = cert;
    return SH_OK;
}

enum sh_cause sh_identity_load(const char *folder, struct sh_identity **ret_identity)
{
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = calloc(1, sizeof(*identity));
    if (!identity)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_keyfile_folder(folder));
    SH_TRY(load_key(folder, "device.key", &identity->key));
    SH_TRY(load_resolving_key(folder, identity->resolving_key));
    SH_TRY(sh_device_id(identity->key, identity->id));
    *ret_identity = identity;
    identity = NULL;
    return SH_OK;
}

static enum sh_cause load_server_cert(struct making *making, const char *folder)
{
    static const char name[] = "server.crt";
    struct sh_identity *identity = making->identity;
    struct sh_keyfile content = {.n = 0};
    int64_t not_after = 0;
    SH_TRY(read_or_make(folder, name, make_server_cert, making, &content));
    SH_TRY(
        cert_of(&content, folder, name, identity->key, identity->ca_key, &identity->server_cert));
    if (sh_cert_not_after(identity->server_cert, &not_after) != SH_OK)
        return damaged(folder, name, "no end of validity");
    if (not_after - making->now >= RENEW_SECONDS)
        return SH_OK;
    X509_free(identity->server_cert);
    identity->server_cert = NULL;
    SH_TRY(make_server_cert(making, &content));
    SH_TRY(sh_keyfile_write(folder, name, &content, true));
    return cert_of(&content, folder, name, identity->key, identity->ca_key, &identity->server_cert);
}

static void drop_ca(struct sh_identity *identity)
{
    EVP_PKEY_free(identity->ca_key);
    X509_free(identity->ca_cert);
    X509_free(identity->server_cert);
    identity->ca_key = NULL;
    identity->ca_cert = NULL;
    identity->server_cert = NULL;
}

enum sh_cause sh_identity_load_ca(struct sh_identity *identity, const char *folder, int64_t now)
{
    static const char name[] = "ca.crt";
    struct sh_keyfile content = {.n = 0};
    struct making making = {.identity = identity, .now = now};
    drop_ca(identity);
    enum sh_cause cause = load_key(folder, "ca.key", &identity->ca_key);
    if (cause == SH_OK)
        cause = read_or_make(folder, name, make_ca_cert, &making, &content);
    if (cause == SH_OK)
        cause =
            cert_of(&content, folder, name, identity->ca_key, identity->ca_key, &identity->ca_cert);
    if (cause == SH_OK)
        cause = load_server_cert(&making, folder);
    if (cause != SH_OK)
        drop_ca(identity);
    return cause;
}

enum sh_cause sh_identity_new(int64_t now, struct sh_identity **ret_identity)
{
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = calloc(1, sizeof(*identity));
    if (!identity)
        return SH_ENV_NO_MEMORY;
    identity->key = EVP_EC_gen("P-256");
    identity->ca_key = EVP_EC_gen("P-256");
    if (!identity->key || !identity->ca_key)
        return SH_ENV_CRYPTO;
    SH_TRY(sh_device_id(identity->key, identity->id));
    SH_TRY(sh_random(identity->resolving_key, sizeof(identity->resolving_key)));
    SH_TRY(sh_cert_ca(identity->ca_key, now, &identity->ca_cert));
    SH_TRY(sh_cert_server(identity->ca_key, identity->ca_cert, identity->key, now,
                          &identity->server_cert));
    *ret_identity = identity;
    identity = NULL;
    return SH_OK;
}
