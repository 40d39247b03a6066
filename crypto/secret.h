/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Secrets that wipe themselves. A struct sh_secret is 32 octets, the size of every key here; declare it
 * with sh_autowipe and it is overwritten at every way out of its scope.
 */
#ifndef SIMHOP_CRYPTO_SECRET_H
#define SIMHOP_CRYPTO_SECRET_H

#include "proto/base.h"
#include "proto/cause.h"

#define SH_SECRET_SIZE 32

struct sh_secret {
    uint8_t b[SH_SECRET_SIZE];
};

/* Overwrites n octets in a way that the compiler keeps. NULL with n = 0 is fine. */
void sh_wipe(void *p, size_t n);

void sh_secret_wipe(struct sh_secret *secret);
#define sh_autowipe SH_CLEANUP(sh_secret_wipe)

/* Constant time in n. */
SH_MUST_USE bool sh_equal(const uint8_t *a, const uint8_t *b, size_t n);

/* n octets of OpenSSL's RAND_priv_bytes. Fails with env.random. */
SH_MUST_USE enum sh_cause sh_random(uint8_t *out, size_t n);

/* SHA-256 over the concatenation of count pieces. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_sha256(const struct sh_bytes *pieces, size_t count, uint8_t out[32]);

/* HMAC-SHA-256 (RFC 2104) over one message. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_hmac_sha256(struct sh_bytes key, struct sh_bytes message,
                                         uint8_t out[32]);

#endif
