/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/keys.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#define RID_LABEL  "simhop1 rid"
#define RID_RANDOM 3

enum sh_cause sh_hkdf_expand(const struct sh_secret *prk, const char *label, uint8_t *out, size_t n)
{
    struct sh_secret key SH_CLEANUP(sh_secret_wipe) = *prk;
    char info[64];
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    if (!sh_strcopy(info, sizeof(info), label))
        return sh_fail(SH_INTERNAL_BUG, "label of %zu octets", strlen(label));
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.b, sizeof(key.b)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx && EVP_KDF_derive(ctx, out, n, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok ? SH_OK : SH_ENV_CRYPTO;
}

enum sh_cause sh_session_keys_derive(const struct sh_secret *k, const uint8_t transcript[32],
                                     struct sh_session_keys *ret_keys)
{
    struct sh_session_keys keys SH_CLEANUP(sh_session_keys_wipe) = {.session_id = {0}};
    sh_autowipe struct sh_secret prk = {.b = {0}};
    /* HKDF-Extract (RFC 5869 section 2.2) is an HMAC whose key is the salt. */
    SH_TRY(sh_hmac_sha256(SH_BYTES(transcript, 32), SH_BYTES(k->b, sizeof(k->b)), prk.b));
    SH_TRY(sh_hkdf_expand(&prk, "simhop1 session id", keys.session_id, sizeof(keys.session_id)));
    SH_TRY(sh_hkdf_expand(&prk, "simhop1 tls psk", keys.tls_psk.b, sizeof(keys.tls_psk.b)));
    *ret_keys = keys;
    return SH_OK;
}

void sh_session_keys_wipe(struct sh_session_keys *keys)
{
    if (keys)
        sh_wipe(keys, sizeof(*keys));
}

static enum sh_cause rid_tag(const uint8_t *resolving_key, const uint8_t *random, uint8_t tag[32])
{
    uint8_t message[sizeof(RID_LABEL) - 1 + RID_RANDOM];
    memcpy(message, RID_LABEL, sizeof(RID_LABEL) - 1);
    memcpy(message + sizeof(RID_LABEL) - 1, random, RID_RANDOM);
    return sh_hmac_sha256(SH_BYTES(resolving_key, SH_RESOLVING_KEY_SIZE),
                          SH_BYTES(message, sizeof(message)), tag);
}

enum sh_cause sh_rotating_id_new(const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                                 uint8_t out[SH_ROTATING_ID_SIZE])
{
    uint8_t id[SH_ROTATING_ID_SIZE], tag[32];
    SH_TRY(sh_random(id, RID_RANDOM));
    SH_TRY(rid_tag(resolving_key, id, tag));
    memcpy(id + RID_RANDOM, tag, SH_ROTATING_ID_SIZE - RID_RANDOM);
    memcpy(out, id, sizeof(id));
    return SH_OK;
}

bool sh_rotating_id_is_of(const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                          const uint8_t id[SH_ROTATING_ID_SIZE])
{
    uint8_t tag[32];
    return rid_tag(resolving_key, id, tag) == SH_OK &&
           sh_equal(tag, id + RID_RANDOM, SH_ROTATING_ID_SIZE - RID_RANDOM);
}
