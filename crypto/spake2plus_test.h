/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The door for the published vectors of RFC 9383 appendix C: w0, w1 or L and the ephemeral scalar are given
 * instead of derived. Only tests include this; the program never calls it.
 */
#ifndef SIMHOP_CRYPTO_SPAKE2PLUS_TEST_H
#define SIMHOP_CRYPTO_SPAKE2PLUS_TEST_H

#include "crypto/spake2plus.h"

/* w0 and scalar: 32 octets, big endian; w1_or_l: 32 octets (prover) or a 65-octet point (verifier). */
SH_MUST_USE enum sh_cause sh_spake_new_for_test(enum sh_spake_role role, struct sh_bytes w0,
                                                struct sh_bytes w1_or_l, struct sh_bytes scalar,
                                                struct sh_bytes context, struct sh_bytes id_prover,
                                                struct sh_bytes id_verifier,
                                                struct sh_spake **ret_spake);

#endif
