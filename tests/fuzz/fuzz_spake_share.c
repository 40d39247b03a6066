/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any octets as the other side's share: the first one says to whom (even: prover), the rest are it. */
#include <string.h>

#include "crypto/spake2plus_test.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t w0[32] = {1}, w1[32] = {2}, x[32] = {3};
    /* RFC 9383 appendix C: some point of the curve */
    static const uint8_t l[SH_SPAKE_SHARE] = {
        0x04, 0xeb, 0x7c, 0x9d, 0xb3, 0xd9, 0xa9, 0xeb, 0x1f, 0x8a, 0xda, 0xb8, 0x1b,
        0x57, 0x94, 0xc1, 0xf1, 0x3a, 0xe3, 0xe2, 0x25, 0xef, 0xbe, 0x91, 0xea, 0x48,
        0x74, 0x25, 0x85, 0x4c, 0x7f, 0xc0, 0x0f, 0x00, 0xbf, 0xed, 0xcb, 0xd0, 0x9b,
        0x24, 0x00, 0x14, 0x2d, 0x40, 0xa1, 0x4f, 0x20, 0x64, 0xef, 0x31, 0xdf, 0xaa,
        0x90, 0x3b, 0x91, 0xd1, 0xfa, 0xea, 0x70, 0x93, 0xd8, 0x35, 0x96, 0x6e, 0xfd};
    SH_CLEANUP(sh_spake_freep) struct sh_spake *spake = NULL;
    uint8_t confirm[SH_SPAKE_CONFIRM];
    struct sh_secret key;
    if (size < 1)
        return 0;
    bool prover = data[0] % 2 == 0;
    fuzz_assert(sh_spake_new_for_test(
                    prover ? SH_SPAKE_PROVER : SH_SPAKE_VERIFIER, SH_BYTES(w0, 32),
                    prover ? SH_BYTES(w1, 32) : SH_BYTES(l, sizeof(l)), SH_BYTES(x, 32),
                    SH_BYTES("c", 1), SH_BYTES("p", 1), SH_BYTES("v", 1), &spake) == SH_OK);
    enum sh_cause cause = sh_spake_rx_share(spake, SH_BYTES(data + 1, size - 1));
    fuzz_assert(cause == SH_OK || cause == SH_CONFIRM_BAD_POINT || cause == SH_CONFIRM_INFINITY ||
                cause == SH_CONFIRM_REFLECTION);
    fuzz_assert(cause != SH_OK || size == 1 + SH_SPAKE_SHARE);
    fuzz_assert((sh_spake_confirm(spake, confirm) == SH_OK) == (cause == SH_OK && !prover));
    memset(confirm, 0, sizeof(confirm));
    fuzz_assert(sh_spake_rx_confirm(spake, SH_BYTES(confirm, sizeof(confirm))) != SH_OK);
    fuzz_assert(sh_spake_key(spake, &key) == SH_PROTO_WRONG_STATE);
    return 0;
}
