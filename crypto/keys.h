/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The key schedule, one for all ways of consent: K (the PAKE's K_shared) and the transcript give
 * PRK = HKDF-Extract(salt = transcript, K) and from it, by HKDF-Expand (RFC 5869) with a label each, what a
 * session needs. Also the rotating identifier of the advertisement.
 */
#ifndef SIMHOP_CRYPTO_KEYS_H
#define SIMHOP_CRYPTO_KEYS_H

#include "crypto/secret.h"

#define SH_SESSION_ID_SIZE    16
#define SH_RESOLVING_KEY_SIZE 16
#define SH_ROTATING_ID_SIZE   7

struct sh_session_keys {
    uint8_t session_id[SH_SESSION_ID_SIZE]; /* "simhop1 session id"; not secret */
    struct sh_secret tls_psk;               /* "simhop1 tls psk" */
};

/* Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_session_keys_derive(const struct sh_secret *k,
                                                 const uint8_t transcript[32],
                                                 struct sh_session_keys *ret_keys);
void sh_session_keys_wipe(struct sh_session_keys *keys);

/* HKDF-Expand of one secret with a label (at most 63 characters, its info) into n octets.
 * Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_hkdf_expand(const struct sh_secret *prk, const char *label,
                                         uint8_t *out, size_t n);

/* A rotating identifier: 3 random octets r, then the first 4 of HMAC(resolving key, "simhop1 rid" | r).
 * Only who has the resolving key sees that two of them come from one device. */
SH_MUST_USE enum sh_cause sh_rotating_id_new(const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                                             uint8_t out[SH_ROTATING_ID_SIZE]);
SH_MUST_USE bool sh_rotating_id_is_of(const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                                      const uint8_t id[SH_ROTATING_ID_SIZE]);

#endif
