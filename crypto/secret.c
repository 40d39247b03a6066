/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

void sh_wipe(void *p, size_t n)
{
    if (n > 0)
        OPENSSL_cleanse(p, n);
}

void sh_secret_wipe(struct sh_secret *secret)
{
    if (secret)
        sh_wipe(secret->b, sizeof(secret->b));
}

bool sh_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
    return n == 0 || CRYPTO_memcmp(a, b, n) == 0;
}

enum sh_cause sh_random(uint8_t *out, size_t n)
{
    if (n > INT_MAX || (n > 0 && RAND_priv_bytes(out, (int)n) != 1))
        return SH_ENV_RANDOM;
    return SH_OK;
}

enum sh_cause sh_sha256(const struct sh_bytes *pieces, size_t count, uint8_t out[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t digest[32];
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = pieces[i].n == 0 || EVP_DigestUpdate(ctx, pieces[i].p, pieces[i].n) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; ok && i < sizeof(digest); i++)
        out[i] = digest[i];
    sh_wipe(digest, sizeof(digest));
    return ok ? SH_OK : SH_ENV_CRYPTO;
}

enum sh_cause sh_hmac_sha256(struct sh_bytes key, struct sh_bytes message, uint8_t out[32])
{
    static const uint8_t nothing[1]; /* HMAC() takes a NULL key for "the key of last time" */
    unsigned n = 0;
    if (key.n > INT_MAX || !HMAC(EVP_sha256(), key.n ? key.p : nothing, (int)key.n,
                                 message.n ? message.p : nothing, message.n, out, &n))
        return SH_ENV_CRYPTO;
    return n == 32 ? SH_OK : SH_ENV_CRYPTO;
}
