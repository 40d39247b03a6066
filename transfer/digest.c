/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/digest.h"

#include <openssl/evp.h>

static enum sh_cause begin(struct sh_digest *digest)
{
    if (digest->context)
        return SH_OK;
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
        return SH_ENV_CRYPTO;
    return SH_OK;
}

enum sh_cause sh_digest_add(struct sh_digest *digest, struct sh_bytes data)
{
    SH_TRY(begin(digest));
    if (EVP_DigestUpdate(digest->context, data.p, data.n) != 1)
        return SH_ENV_CRYPTO;
    digest->leaves++;
    return SH_OK;
}

enum sh_cause sh_digest_end(struct sh_digest *digest)
{
    if (digest->ended)
        return SH_OK;
    SH_TRY(begin(digest));
    if (EVP_DigestFinal_ex(digest->context, digest->value, NULL) != 1)
        return SH_ENV_CRYPTO;
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
    digest->ended = true;
    return SH_OK;
}

void sh_digest_reset(struct sh_digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    *digest = (struct sh_digest){.context = NULL};
}
