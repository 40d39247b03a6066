/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SPAKE2+ (RFC 9383), ciphersuite P256-SHA256-HKDF-SHA256-HMAC-SHA256, built on OpenSSL's EC
 * functions: one scalar a multiplication, every scalar in [1, q), infinity refused. The secondary,
 * where the code is typed, is the prover; the anchor, which shows it, is the verifier. Both know the
 * code, so the verifier derives L itself. The verifier confirms first (section 3.4): when shareV and
 * confirmV leave, the attempt is spent.
 *
 * One object is one run; after a failure it refuses everything. Secrets inside are wiped by free.
 */
#ifndef SIMHOP_CRYPTO_SPAKE2PLUS_H
#define SIMHOP_CRYPTO_SPAKE2PLUS_H

#include "crypto/secret.h"

#define SH_SPAKE_SHARE   65 /* SEC 1 uncompressed point */
#define SH_SPAKE_CONFIRM 32
#define SH_SPAKE_W       40 /* octets of PBKDF output before reduction, section 3.2 */

enum sh_spake_role { SH_SPAKE_PROVER, SH_SPAKE_VERIFIER };

struct sh_spake;

/* w0s || w1s = PBKDF2-HMAC-SHA256(code, salt, 1000, 80) and w0, w1 = them mod q; see section 3.2 for
 * why 40 octets each. context is the hash of the whole greeting; ids are those of section 3.3. Each is
 * copied. Fails with env.crypto, env.no-memory, env.random. */
SH_MUST_USE enum sh_cause sh_spake_new(enum sh_spake_role role, struct sh_bytes code,
                                       struct sh_bytes salt, struct sh_bytes context,
                                       struct sh_bytes id_prover, struct sh_bytes id_verifier,
                                       struct sh_spake **ret_spake);

void sh_spake_free(struct sh_spake *spake);
void sh_spake_freep(struct sh_spake **spake);

/* This side's share: shareP = x*P + w0*M, or shareV = y*P + w0*N. */
void sh_spake_share(const struct sh_spake *spake, uint8_t out[SH_SPAKE_SHARE]);

/* Takes the other side's share and derives all keys. Fails with
 * confirm.bad-point (length, format or not on the curve), confirm.infinity (the share is, or makes Z or V,
 * the point at infinity), confirm.reflection (it is our own share), env.crypto. */
SH_MUST_USE enum sh_cause sh_spake_rx_share(struct sh_spake *spake, struct sh_bytes share);

/* This side's key confirmation, after sh_spake_rx_share: confirmP = MAC(K_confirmP, shareV),
 * confirmV = MAC(K_confirmV, shareP). A prover gets its own only after sh_spake_rx_confirm said SH_OK.
 * Fails with proto.wrong-state. */
SH_MUST_USE enum sh_cause sh_spake_confirm(const struct sh_spake *spake,
                                           uint8_t out[SH_SPAKE_CONFIRM]);

/* Checks the other side's confirmation, in constant time. Fails with confirm.wrong-code,
 * confirm.reflection (it is our own), proto.wrong-state. */
SH_MUST_USE enum sh_cause sh_spake_rx_confirm(struct sh_spake *spake, struct sh_bytes confirm);

/* K_shared, only after sh_spake_rx_confirm said SH_OK. Fails with proto.wrong-state. */
SH_MUST_USE enum sh_cause sh_spake_key(const struct sh_spake *spake, struct sh_secret *ret_key);

#endif
